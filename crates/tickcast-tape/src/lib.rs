//! The tape on disk: what restarts, and readers who come back late, go on from.
//!
//! A folder holds the last ticks in [segments](Writer) of checked blocks, a snapshot of the market to begin from, and the
//! state that says which life of the tape this is. [`open`] puts a [`Sequencer`](tickcast_core::Sequencer) back to where it was
//! and gives a [`Writer`] to go on with and a [`DiskTape`] to read from.
//!
//! What was written is in the system's hands before anyone sees it, so the end of the process loses nothing. What the end of the
//! *system* may lose, [`Sync`] says; that is noticed, and begins a new epoch: no cursor ever means two ticks.

mod archive;
mod block;
mod bytes;
mod data_dir;
mod error;
mod recovery;
mod repair;
mod segment;
mod segment_set;
mod snapshot;
mod writer;

use std::time::Duration;

pub use archive::{DiskTape, ReadError, Skipped};
pub use error::{AppendError, OpenError};
pub use recovery::{Opened, open};
pub use repair::{CheckReport, check, repair};
pub use snapshot::{encode_key, write as write_snapshot};
pub use writer::Writer;

/// When the disk is made to confirm what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// As soon as it can, and whoever publishes may [wait](DiskTape::wait_durable) for it: a crash of the system loses nothing that
    /// was waited for.
    Always,
    /// This often: a crash of the system loses at most so much.
    Interval(Duration),
    /// When the system likes, half a minute later say.
    Never,
}

/// How a tape is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When the disk is made to confirm.
    pub sync: Sync,
    /// About how many bytes of ticks are kept; at least two segments.
    pub retention_bytes: u64,
    /// How long ticks are kept.
    pub retention_time: Duration,
}

impl Default for Options {
    /// Confirmed every 100 ms; 1 GiB, some eight million ticks; ten years.
    fn default() -> Self {
        let keep = Duration::from_secs(3650 * 86_400);
        Self {
            sync: Sync::Interval(Duration::from_millis(100)),
            retention_bytes: 1 << 30,
            retention_time: keep,
        }
    }
}

impl Options {
    /// How long a segment is: a sixteenth of everything, from 2 to 64 MiB.
    const fn segment_bytes(&self) -> u64 {
        let part = self.retention_bytes / 16;
        let (least, most) = (2 << 20, 64 << 20);
        if part < least {
            least
        } else if part > most {
            most
        } else {
            part
        }
    }
}

#[cfg(test)]
mod tests;
