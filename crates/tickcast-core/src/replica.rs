//! The market and the tape as of a position, for a reader that follows the log.

use crate::{Market, Run, Seq, Sequencer, Tape};

/// The market and the tape of a log as of one position. Each lane has one, from which it renders.
/// It shares the entries and the names with the log, and follows the log without a lock. Made by
/// [`Sequencer::replica`].
#[derive(Debug, Clone)]
pub struct Replica {
    pub(crate) market: Market,
    pub(crate) tape: Tape,
}

/// The next entries have left the tape, so the [`Replica`] has to
/// [copy](Sequencer::copy_market) the market. Returned by [`Replica::catch_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next entries have left the tape")]
pub struct TooFarBehind;

impl Replica {
    /// Returns the sequence number up to which the replica is updated.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.tape.head()
    }

    /// Returns the newest tick of every symbol, as of [`head`](Self::head).
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// Returns the last ticks in order, up to [`head`](Self::head).
    #[must_use]
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Applies the entries that the log shows, at most `max` of them.
    ///
    /// # Errors
    /// If the next entries have left the tape. The replica is then empty until it has copied the
    /// market.
    pub fn catch_up(&mut self, max: u64) -> Result<(), TooFarBehind> {
        let last = Seq::new(self.head().get().saturating_add(max));
        let until = self.tape.visible().min(last);
        while self.head() < until {
            let Some(run) = self.tape.run_between(self.head(), until) else {
                // This takes longer than a copy, so it is not done while publishers wait.
                self.market.clear();
                return Err(TooFarBehind);
            };
            self.apply(&run);
        }
        Ok(())
    }

    fn apply(&mut self, run: &Run) {
        for (seq, entry) in run.entries() {
            self.market.apply(seq, entry);
        }
        self.tape.advance_past(run);
    }
}

impl Sequencer {
    /// Returns a replica that has not followed any entry yet.
    #[must_use]
    pub fn replica(&self) -> Replica {
        Replica {
            market: self.market().with_same_names(),
            tape: self.tape().at_zero(),
        }
    }

    /// Copies the newest ticks of at most `max` symbols to a replica that is too far behind. Call it
    /// with `from` 0, then with the returned number until the result is `None`. If the market moves
    /// on in between, the replica has to [catch up](Replica::catch_up) from where the first call was,
    /// before it is read.
    pub fn copy_market(&self, replica: &mut Replica, from: usize, max: usize) -> Option<usize> {
        if from == 0 {
            replica.tape = self.tape().clone();
        }
        replica.market.copy_from(self.market(), from, max)
    }
}
