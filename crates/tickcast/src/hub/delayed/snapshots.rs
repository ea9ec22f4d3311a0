//! Snapshots of a delayed market on disk, so that the market goes on after a restart. What is in
//! them was old enough when they were written.

use std::time::Duration;

use tickcast_core::{Restore, Seq, Sequencer};

use crate::disk::{DelayedSnapshot, DiskTape, read_delayed_snapshot, write_delayed_snapshot};
use crate::hub::Hub;

/// Shortest time between two snapshots, and the time between them in units of the time that the last
/// one took.
const INTERVAL: Duration = Duration::from_secs(30);
const INTERVAL_FACTOR: u32 = 20;

/// The snapshots of one delayed market.
pub(super) struct Snapshots {
    delay: Duration,
    /// The time of the next one, by the uptime, and the position of the last one.
    due: Duration,
    last: Seq,
    failing: bool,
}

impl Snapshots {
    pub(super) const fn new(delay: Duration) -> Self {
        Self {
            delay,
            due: Duration::ZERO,
            last: Seq::ZERO,
            failing: false,
        }
    }

    /// Makes a market of the last snapshot, if the tape continues it.
    pub(super) fn restore(&self, live: &Hub, tape: &DiskTape) -> Option<Restore> {
        let DelayedSnapshot {
            base,
            digest,
            symbols,
        } = read_delayed_snapshot(tape, self.delay)?;
        let mut restore = Restore::new(live.0.epoch, live.0.settings.limits, (base, digest));
        for symbol in symbols {
            restore.symbol(symbol);
        }
        // Symbols that were removed before the first start of this market are not in the snapshot.
        restore.forget_until(base);
        Some(restore)
    }

    /// Writes a snapshot if it is time. The market must not move meanwhile.
    pub(super) fn write_if_due(&mut self, market: &Hub, now: Duration) {
        if now >= self.due {
            self.write(market, now);
        }
    }

    /// Writes a snapshot, unless the last one is of the same position.
    pub(super) fn write(&mut self, market: &Hub, now: Duration) {
        let Some(tape) = market.log().archive() else {
            return;
        };
        let log = market.log();
        let base = log.read(|log| (log.cursor().seq(), log.tape().digest()));
        if base.0 == self.last {
            return;
        }
        let symbols = log.each_symbol(Sequencer::symbol_snapshot);
        let began = market.now().uptime;
        let written = write_delayed_snapshot(tape, self.delay, base, symbols);
        let took = market.now().uptime.saturating_sub(began);
        self.due = now + INTERVAL.max(took * INTERVAL_FACTOR);
        match &written {
            Ok(()) => self.last = base.0,
            Err(error) if !self.failing => {
                tracing::warn!(delay = self.delay.as_secs(), %error, "no snapshot of a delayed market could be written: after a restart, its symbols come later");
            }
            Err(_) => {}
        }
        self.failing = written.is_err();
    }
}
