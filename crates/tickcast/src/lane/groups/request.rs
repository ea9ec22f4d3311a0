//! The input from which a payload is rendered.

use tickcast_core::Seq;

use super::slot::GroupId;
use crate::lane::rendered::StreamPosition;

/// The input from which a payload is rendered. Equal requests give equal payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) group: GroupId,
    pub(super) position: StreamPosition,
    pub(super) until: Seq,
    pub(super) every_tick: bool,
    pub(super) head: Seq,
}
