//! The tape on disk. Restarts and late returning readers continue from this tape.
//!
//! A data directory holds the last ticks in [segments](Writer) of blocks with checksums. The
//! directory also holds a snapshot of the market to start from, and a state file with the epoch of
//! the tape. A complete segment is sealed with a footer, which says what opening needs to know of the
//! segment. [`open`] restores a [`Sequencer`](tickcast_core::Sequencer). `open` also returns a
//! [`Writer`] that continues the tape, and a [`DiskTape`] to read from.
//!
//! A tick is handed to the operating system before any reader receives the tick, so the end of the
//! process loses nothing. [`Sync`] determines what a crash of the *system* can lose. After such a
//! crash a new epoch begins, so that a cursor never refers to two different ticks.

mod archive;
mod batch;
mod block;
mod blocks;
mod bytes;
mod data_dir;
mod delayed_snapshot;
mod error;
mod footer;
mod index;
mod recovery;
mod repair;
mod scan;
mod seal_thread;
mod segment;
mod segment_set;
mod snapshot;
mod spare;
mod spare_thread;
mod start;
mod times;
mod torn;
mod walk;
mod writer;

use std::time::Duration;

pub use archive::{DiskTape, Skipped};
pub use batch::Batch;
pub use delayed_snapshot::{DelayedSnapshot, read_delayed_snapshot, write_delayed_snapshot};
pub use error::{AppendError, OpenError, ReadError};
pub use recovery::{Opened, open};
pub use repair::{CheckReport, check, repair};
pub use snapshot::{encode_key, write as write_snapshot};
pub use writer::Writer;

/// When the disk must confirm written data (fsync). Pass it to [`Options::sync`]. Default: every
/// 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sync {
    /// As soon as possible. Publishers may [wait](DiskTape::wait_durable) for the confirmation. A
    /// crash of the system loses nothing that a publisher has waited for.
    Always,
    /// At this interval. Contains the interval. A crash of the system loses at most the data of one
    /// interval.
    Interval(Duration),
    /// Left to the operating system, for example after up to about 30 s.
    Never,
}

/// Options of a tape on disk. Pass it to [`open`], or in `tickcast` to `HubBuilder::tape`.
///
/// ```
/// # use std::time::Duration;
/// # use tickcast_tape::{Options, Sync};
/// let options = Options::default().sync(Sync::Always).retention_time(Duration::from_secs(7 * 86_400));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Options {
    /// When the disk must confirm written data. Default: every 100 ms.
    pub sync: Sync,
    /// Retention size: approximate maximum number of bytes of ticks on disk; at least two segments.
    /// The oldest ticks are deleted first. Default: 1 GiB.
    pub retention_bytes: u64,
    /// Retention time: how long ticks stay on disk. Default: ten years.
    pub retention_time: Duration,
    /// Time after which a symbol that was removed, and did not return, is forgotten at the next
    /// opening. Its name then no longer counts against the maximum number of symbols. Default: 30
    /// days.
    pub forget: Duration,
}

impl Default for Options {
    /// Returns the defaults: confirmation every 100 ms; 1 GiB, about eight million ticks; ten
    /// years; removed symbols are forgotten after 30 days.
    fn default() -> Self {
        Self {
            sync: Sync::Interval(Duration::from_millis(100)),
            retention_bytes: 1 << 30,
            retention_time: Duration::from_secs(3650 * 86_400),
            forget: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Options {
    /// Sets when the disk must confirm written data. Default: every 100 ms.
    #[must_use]
    pub const fn sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// Sets the retention size, in bytes. Default: 1 GiB.
    #[must_use]
    pub const fn retention_bytes(mut self, bytes: u64) -> Self {
        self.retention_bytes = bytes;
        self
    }

    /// Sets the retention time. Default: ten years.
    #[must_use]
    pub const fn retention_time(mut self, time: Duration) -> Self {
        self.retention_time = time;
        self
    }

    /// Sets the time after which a removed symbol is forgotten. Default: 30 days.
    #[must_use]
    pub const fn forget(mut self, time: Duration) -> Self {
        self.forget = time;
        self
    }

    /// Returns the size of a segment: 1/16 of the retention size, from 2 to 64 MiB.
    const fn segment_bytes(&self) -> u64 {
        let part = self.retention_bytes / 16;
        let (min, max) = (2 << 20, 64 << 20);
        if part < min {
            min
        } else if part > max {
            max
        } else {
            part
        }
    }
}

#[cfg(test)]
mod tests;
