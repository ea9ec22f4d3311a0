//! Sources of ticks.

mod running;
mod spec;

pub(crate) use running::{Change, STALE_AFTER, SourceManager};
pub(crate) use spec::{SOURCE_KEYS, SourceSpec, SourceSpecError, SourceTable, make_names_unique};
