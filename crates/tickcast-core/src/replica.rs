//! The market and the tape together, both as of the same entry.

use crate::{Digest, Entry, Limits, Market, Seq, Tape};

/// The market and the tape, updated together, entry by entry. The [`Sequencer`](crate::Sequencer)
/// has one. Each lane has a copy, from which it renders without a lock, and updates the copy with
/// [`Sequencer::advance`](crate::Sequencer::advance).
#[derive(Debug, Clone)]
pub struct Replica {
    market: Market,
    tape: Tape,
}

impl Replica {
    /// Makes an empty replica. `limits` also bound its tape.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::starting_at((Seq::ZERO, Digest::START), limits)
    }

    /// Makes a replica with an empty market. The first entry follows `head`, and the digest of the
    /// tape at `head` is `digest`.
    pub(crate) fn starting_at((head, digest): (Seq, Digest), limits: Limits) -> Self {
        let mut market = Market::default();
        market.advance_to(head);
        Self {
            market,
            tape: Tape::new((head, digest), limits.tape_ticks, limits.tape_bytes),
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

    /// Applies at most `max` entries of `source` and returns whether the replica is up to date. If
    /// the tape of `source` no longer holds the next entry, the replica becomes a copy of `source`,
    /// because a reader may need older entries.
    pub(crate) fn catch_up(&mut self, source: &Self, max: usize) -> bool {
        let Self { market, tape } = source;
        if !tape.reaches_back_to(self.head()) {
            self.clone_from(source);
            return true;
        }
        for id in market.ids_from(self.market.len()) {
            self.market.add_symbol(market.symbol(id));
        }
        for (_, entry) in tape.after(self.head()).take(max) {
            self.apply(entry.clone());
        }
        self.head() == tape.head()
    }

    /// Applies the next entry to the market and the tape. Returns the sequence number of the entry.
    pub(crate) fn apply(&mut self, entry: Entry) -> Seq {
        self.market.apply(self.head().next(), &entry);
        self.tape.push(entry)
    }

    /// Adds the next entry to the tape only, because the market is ahead of the entry for this
    /// symbol.
    pub(crate) fn skip(&mut self, entry: Entry) -> Seq {
        self.market.advance_to(self.head().next());
        self.tape.push(entry)
    }

    /// Replaces the tape by an empty tape at the same head, with this digest.
    pub(crate) fn set_digest(&mut self, digest: Digest, limits: Limits) {
        self.tape = Tape::new((self.head(), digest), limits.tape_ticks, limits.tape_bytes);
    }

    /// Returns the market, to add symbols and to restore them from snapshots.
    pub(crate) const fn market_mut(&mut self) -> &mut Market {
        &mut self.market
    }
}
