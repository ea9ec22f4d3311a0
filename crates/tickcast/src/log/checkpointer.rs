//! Writes snapshots and deletes old segments, so that a restart is fast and the tape on disk does
//! not grow forever.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tickcast_core::Sequencer;

use super::Log;
use crate::disk::{DiskTape, encode_key, write_snapshot};

/// Time between two checks for ticks beyond the retention time, even if no segment is complete.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// Starts a thread that writes a snapshot of the market each time a segment is complete, and
/// deletes segments that are no longer needed. The thread runs until the tape is closed.
pub(crate) fn run_checkpointer(log: &Arc<Log>, rolls: Receiver<()>) {
    let log = Arc::downgrade(log);
    let thread = std::thread::Builder::new().name("checkpointer".to_owned());
    if let Err(error) = thread.spawn(move || run(&log, &rolls)) {
        tracing::error!(%error, "checkpoint thread failed to start; old segments will not be deleted");
    }
}

fn run(log: &Weak<Log>, rolls: &Receiver<()>) {
    loop {
        let rolled = match rolls.recv_timeout(TRIM_INTERVAL) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Several complete segments need only one snapshot.
        while rolls.try_recv().is_ok() {}
        let Some(log) = log.upgrade() else { return };
        if !rolled {
            log.tape().into_iter().for_each(DiskTape::trim);
        } else if let Err(error) = log.checkpoint() {
            tracing::warn!(%error, "no snapshot of the market could be written: the tape on disk is kept longer");
        }
    }
}

impl Log {
    /// Writes a snapshot of the market, from which a restart begins, and deletes segments that are
    /// no longer needed.
    pub(crate) fn checkpoint(&self) -> io::Result<()> {
        let Some(tape) = self.tape() else {
            return Ok(());
        };
        // Two snapshots at once would write the same file.
        let _one = self
            .checkpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let base = self.read(|log| (log.cursor().seq(), log.tape().digest()));
        let keys: Vec<_> = self.read(|log| log.keys().iter().map(encode_key).collect());
        let symbols = self.each_symbol(Sequencer::symbol_snapshot);
        let written = write_snapshot(tape, base, symbols, &keys);
        // Even without a new snapshot, segments before the last snapshot can be deleted.
        tape.trim();
        written
    }
}
