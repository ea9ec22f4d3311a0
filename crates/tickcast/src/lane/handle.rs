//! The hub's handle of a lane.

use std::sync::Arc;

use super::Inbox;
use crate::stats::LaneStats;

/// The hub's handle of a lane.
#[derive(Default)]
pub(crate) struct LaneHandle {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stats: Arc<LaneStats>,
}
