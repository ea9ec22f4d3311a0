//! The values that the sequencer derives for each tick.

use crate::{Price, Time};

/// The fields of a tick's JSON that the sequencer derives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Derived {
    pub(crate) change: Price,
    pub(crate) change_pct: Option<Price>,
    pub(crate) time: Time,
    pub(crate) n: u64,
}
