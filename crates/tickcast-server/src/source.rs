//! Sources of ticks.

mod records;
mod rename;
mod replay;
mod running;
mod spec;
mod udp;

pub(crate) use records::{Columns, Layout, Records, RecordsError, Taker};
pub(crate) use running::{Change, STALE_AFTER, SourceManager};
pub(crate) use spec::{SOURCE_KEYS, SourceSpec, SourceSpecError, SourceTable, make_names_unique};

/// The documentation page about sources must show the real code.
#[cfg(test)]
#[test]
fn the_example_in_the_page_is_the_source() {
    assert!(include_str!("../../../docs/sources.md").contains(include_str!("source/udp.rs")));
}
