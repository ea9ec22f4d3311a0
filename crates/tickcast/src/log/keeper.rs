//! Sees to it that a restart is quick and the tape on disk does not grow for ever.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use tickcast_core::Standing;
use tickcast_tape::write_snapshot;

use super::Log;

/// How many symbols are copied while the log is locked: with all their candles that is a millisecond or two.
const SYMBOLS_PER_LOCK: usize = 16;

/// Whenever a part of the tape is complete, writes a snapshot of the market and drops what is too much. Runs until the tape is
/// closed.
pub(crate) fn keep(log: &Arc<Log>, rolls: Receiver<()>) {
    let log = Arc::downgrade(log);
    let keeper = std::thread::Builder::new().name("keeper".to_owned());
    if let Err(error) = keeper.spawn(move || run(&log, &rolls)) {
        tracing::error!(%error, "nobody keeps the tape on disk: it will grow");
    }
}

fn run(log: &Weak<Log>, rolls: &Receiver<()>) {
    while rolls.recv().is_ok() {
        // Several at once need one snapshot.
        while rolls.try_recv().is_ok() {}
        let Some(log) = log.upgrade() else { return };
        if let Err(error) = log.checkpoint() {
            tracing::warn!(%error, "no snapshot of the market could be written: the tape on disk is kept longer");
        }
    }
}

impl Log {
    /// Writes a snapshot of the market, from which a restart begins, and drops what is too much.
    pub(crate) fn checkpoint(&self) -> io::Result<()> {
        let Some(tape) = self.tape() else { return Ok(()) };
        let (base, symbols) = self.with(|log| (log.cursor().seq, log.market().len()));
        let chunks = (0..symbols).step_by(SYMBOLS_PER_LOCK);
        let standings = chunks.flat_map(|from| {
            self.with(|log| {
                let ids = log.market().ids_from(from).take(SYMBOLS_PER_LOCK);
                ids.filter_map(|id| log.standing(id)).collect::<Vec<Standing>>()
            })
        });
        let written = write_snapshot(tape, base, standings);
        // Without a new one, what comes before the last one can go all the same.
        tape.trim();
        written
    }
}
