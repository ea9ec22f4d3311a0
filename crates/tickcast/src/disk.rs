//! The tape on disk. Without the feature `tape` its types have no values, so that no other code has
//! to care.

#[cfg(feature = "tape")]
pub(crate) use tickcast_tape::{
    AppendError, Batch, DelayedSnapshot, DiskTape, Opened, ReadError, Skipped, Writer, encode_key,
    read_delayed_snapshot, write_delayed_snapshot, write_snapshot,
};

#[cfg(not(feature = "tape"))]
mod absent;
#[cfg(not(feature = "tape"))]
pub(crate) use absent::{
    AppendError, Batch, DelayedSnapshot, DiskTape, Opened, ReadError, Skipped, Writer, encode_key,
    read_delayed_snapshot, write_delayed_snapshot, write_snapshot,
};
