//! What a piece is rendered from.

use tickcast_core::Seq;

use super::slot::GroupId;
use crate::lane::rendered::StreamPosition;

/// What a piece is rendered from: equal requests have equal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) group: GroupId,
    pub(super) position: StreamPosition,
    pub(super) until: Seq,
    pub(super) every: bool,
    pub(super) head: Seq,
}
