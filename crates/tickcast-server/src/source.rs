//! Where ticks come from.

mod records;
mod replay;
mod running;
mod sim;
mod spec;
mod udp;

pub(crate) use records::{Records, RecordsError, Taker};
pub(crate) use running::{Change, Running};
pub(crate) use spec::{SOURCE_KEYS, SourceSpec, SourceTable, SpecError};
