//! Sources of ticks.

mod running;
mod spec;

pub(crate) use running::{Change, SourceManager};
pub(crate) use spec::{SOURCE_KEYS, SourceSpec, SourceSpecError, SourceTable, make_names_unique};
