//! A market and a tape that follow the sequencer's: what each lane renders from, without a lock.

use crate::{Digest, Limits, Market, Seq, Tape};

/// A market and a tape that follow a [`Sequencer`](crate::Sequencer)'s in order.
#[derive(Debug)]
pub struct Replica {
    market: Market,
    tape: Tape,
}

impl Replica {
    /// One that has seen nothing yet. Its tape is bounded by `limits`, too.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            market: Market::default(),
            tape: Tape::new((Seq::ZERO, Digest::START), limits.tape_ticks, limits.tape_bytes),
        }
    }

    /// How far it has come.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.tape.head()
    }

    /// The newest tick of every symbol, as of [`head`](Self::head).
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// The last ticks in order, up to [`head`](Self::head).
    #[must_use]
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Comes at most `most` entries closer; says whether it has arrived. Where the tape has moved on without it, it takes
    /// everything as it stands: a reader may want what came before.
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
