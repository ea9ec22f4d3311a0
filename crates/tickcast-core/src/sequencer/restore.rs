//! Restores a sequencer to the state in which another sequencer stopped.

use std::time::Duration;

use super::{Limits, Sequencer};
use crate::charts::NewPrice;
use crate::quote::{ClockBounds, TickTime};
use crate::tape::TapeWriter;
use crate::{
    Digest, Entry, Epoch, Frame, KeyProgress, Price, Quote, Seq, SourceId, Symbol, SymbolId,
    SymbolSnapshot, TickView, Time,
};

/// One recorded entry of a tape: a tick or a removal. Pass it to [`Restore::replay`].
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Symbol of the entry.
    pub symbol: Symbol,
    /// New previous close from this entry on, if the entry had one.
    pub prev_close: Option<Price>,
    /// JSON that readers received. `None` if the symbol was removed.
    pub json: Option<&'a [u8]>,
}

/// A sequencer during restoration. First, symbols are restored from snapshots, each as of its own
/// position. Then the later recorded entries are replayed. Made by [`Restore::new`];
/// [`done`](Restore::done) returns the sequencer.
#[derive(Debug)]
pub struct Restore {
    sequencer: Sequencer,
    /// For each symbol, the sequence number up to which nothing must be replayed.
    as_of: Vec<Seq>,
}

impl Restore {
    /// Makes an empty restoration. The first entry to be replayed follows `head`, and the digest of
    /// the tape at `head` is `digest`.
    #[must_use]
    pub fn new(epoch: Epoch, limits: Limits, (head, digest): (Seq, Digest)) -> Self {
        Self {
            sequencer: Sequencer::starting_at((head, digest), epoch, limits),
            as_of: Vec::new(),
        }
    }

    /// Restores a symbol from its snapshot, with the source of its newest tick.
    pub fn symbol_of(&mut self, snapshot: SymbolSnapshot, source: SourceId) {
        let SymbolSnapshot {
            symbol,
            as_of,
            updated_at,
            frame,
            mut quote,
            mut candles,
        } = snapshot;
        let id = self.add_symbol(symbol);
        self.as_of[id.index()] = as_of;
        (quote.listed, quote.source) = (frame.is_some(), source);
        candles.restore_newest(quote.time, quote.price);
        self.sequencer.charts.set(id, candles);
        let market = &mut self.sequencer.market;
        market.restore(id, updated_at, source, frame);
        self.sequencer.quotes[id.index()] = Some(quote);
    }

    /// Restores a symbol from its snapshot. The source of its newest tick is not known.
    pub fn symbol(&mut self, snapshot: SymbolSnapshot) {
        self.symbol_of(snapshot, SourceId::UNKNOWN);
    }

    /// Records that symbols that were removed up to the entry `seq` may have been left out, now or by
    /// an earlier restoration. See [`Market::forgotten`](crate::Market::forgotten).
    pub fn forget_until(&mut self, seq: Seq) {
        self.sequencer.market.names().forget_until(seq);
    }

    /// Returns the latest sequence number that a restored symbol includes. It may be later than that of
    /// the last replayed entry, because a snapshot is made while the market moves on.
    #[must_use]
    pub fn latest_snapshot(&self) -> Seq {
        self.as_of.iter().copied().max().unwrap_or(Seq::ZERO)
    }

    /// Returns the sequence number of the last replayed entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.sequencer.tape().head()
    }

    /// Returns the digest of the tape at that entry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.sequencer.tape().digest()
    }

    /// Sets the digest at the start of the tape, if it was not known before.
    pub fn set_digest(&mut self, digest: Digest) {
        let Limits {
            tape_ticks,
            tape_bytes,
            ..
        } = self.sequencer.limits;
        self.sequencer.tape = TapeWriter::new((self.head(), digest), tape_ticks, tape_bytes);
    }

    /// Replays the next entry. `now` is the wall-clock time at which the entry was accepted. If
    /// `now` is `None`, this time is not known, and the time in the entry is believed.
    pub fn replay(&mut self, recorded: Recorded<'_>, now: Option<Time>) {
        let Recorded { symbol, json, .. } = recorded;
        let bounds = match now {
            Some(now) => ClockBounds::new(now, self.sequencer.limits.max_skew),
            None => ClockBounds {
                now: Time::MAX,
                horizon: Time::MAX,
            },
        };
        let (id, seq) = (self.add_symbol(symbol), self.head().next());
        let entry = Entry::after(
            (self.head(), self.digest()),
            (id, symbol, SourceId::UNKNOWN),
            json.map(|json| Frame::restored(symbol, json)),
            Duration::ZERO,
        );
        if seq > self.as_of[id.index()] {
            let price = self.sequencer.reapply(id, recorded, bounds);
            self.sequencer.push(entry, price, None);
        } else {
            // The snapshot of the symbol includes the entry.
            self.sequencer.market.advance_to(seq);
            self.sequencer.tape.push(entry);
        }
    }

    /// Restores the progress of a request.
    pub fn record_key(&mut self, progress: KeyProgress<'_>, now: Time) {
        self.sequencer.keys.record(progress, now);
    }

    /// Returns the restored sequencer.
    #[must_use]
    pub fn done(mut self) -> Sequencer {
        self.sequencer.show();
        self.sequencer
    }

    fn add_symbol(&mut self, symbol: Symbol) -> SymbolId {
        let id = self.sequencer.market.add_symbol(symbol);
        if id.index() == self.as_of.len() {
            self.as_of.push(Seq::ZERO);
            self.sequencer.make_places(id);
        }
        id
    }
}

impl Sequencer {
    /// Updates a symbol with an entry that was accepted before. Returns the price for the candles.
    pub(super) fn reapply(
        &mut self,
        id: SymbolId,
        recorded: Recorded<'_>,
        bounds: ClockBounds,
    ) -> Option<NewPrice> {
        let listed = self.is_listed(id);
        let quote = &mut self.quotes[id.index()];
        let Some(json) = recorded.json else {
            if let Some(quote) = quote {
                quote.listed = false;
                // The first version of the tape did not say when a symbol was removed.
                if bounds.now < Time::MAX {
                    quote.time = bounds.now;
                }
            }
            return None;
        };
        let view = TickView::read(json)?;
        *quote = Quote::reapply(quote.take(), &view, recorded.prev_close, (bounds, listed));
        Some(NewPrice {
            price: quote.as_ref()?.price,
            when: TickTime::new(view.time, bounds),
        })
    }

    /// Returns the full state of a symbol, or `None` if its frames were encoded outside the core.
    #[must_use]
    pub fn symbol_snapshot(&self, id: SymbolId) -> Option<SymbolSnapshot> {
        Some(SymbolSnapshot {
            symbol: self.market().symbol(id),
            as_of: self.tape().head(),
            updated_at: self.market().last_position(id),
            frame: self.market().newest(id).cloned(),
            quote: self.quote(id)?.clone(),
            candles: self.candles(id).clone(),
        })
    }
}
