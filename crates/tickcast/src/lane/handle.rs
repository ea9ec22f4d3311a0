//! What the hub has of a lane.

use std::sync::Arc;

use super::Inbox;
use crate::stats::LaneStats;

/// A lane, as the hub has it.
#[derive(Default)]
pub(crate) struct LaneHandle {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stats: Arc<LaneStats>,
}
