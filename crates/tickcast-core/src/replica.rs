//! Copy of the sequencer's market and tape. Each lane renders from its own copy, without a lock.

use crate::{Digest, Limits, Market, Seq, Tape};

/// Copy of the market and the tape of a [`Sequencer`](crate::Sequencer), updated in order.
#[derive(Debug)]
pub struct Replica {
    market: Market,
    tape: Tape,
}

impl Replica {
    /// Makes an empty replica. `limits` also bound its tape.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            market: Market::default(),
            tape: Tape::new((Seq::ZERO, Digest::START), limits.tape_ticks, limits.tape_bytes),
        }
    }

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

    /// Applies at most `most` entries and returns whether the replica is up to date. If the tape no longer
    /// holds the next entry, the replica copies the whole market and tape, because a reader may need older
    /// entries.
    pub(crate) fn catch_up(&mut self, market: &Market, tape: &Tape, most: usize) -> bool {
        if !tape.reaches_back_to(self.head()) {
            self.market.clone_from(market);
            self.tape.clone_from(tape);
            return true;
        }
        for id in market.ids_from(self.market.len()) {
            self.market.add_symbol(market.symbol(id));
        }
        for (seq, entry) in tape.after(self.head()).take(most) {
            self.market.apply(seq, entry);
            self.tape.push(entry.clone());
        }
        self.head() == tape.head()
    }
}
