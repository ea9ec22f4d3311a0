//! The sequencer puts all ticks in one order. No other code assigns sequence numbers.

mod ahead;
mod follow;
mod restore;
mod showing;

use std::sync::Arc;

use crate::charts::{Charts, NewPrice};
use crate::new_closes::NewCloses;
use crate::quote::{ClockBounds, TickTime};
use crate::tape::TapeWriter;
use crate::{
    Candles, Cursor, Digest, Entry, Epoch, Frame, Keys, Limits, Market, Names, Now, Position,
    Price, Quote, Seq, SourceId, SourceOptions, Symbol, SymbolId, Tape, Tick, TickError,
};

/// Result of publishing a valid tick: it was accepted or dropped. Returned by
/// `tickcast::Hub::publish` and `tickcast::Publisher::publish`. A tick that is not valid is a
/// [`TickError`] instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The tick is on the tape. Contains its sequence number.
    Accepted(Seq),
    /// The tick was older than the newest tick of its symbol, and was dropped: see
    /// [`SourceOptions::allow_late`]. Readers do not receive it.
    Late,
    /// The tick had the same price, change and extras as the newest tick of its symbol, and was
    /// dropped: see [`SourceOptions::drop_unchanged`]. Its newer time is recorded.
    Unchanged,
}

/// What the sequencer did with a valid tick or a removal. Returned by [`Sequencer::accept`] and
/// [`Sequencer::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sequenced {
    /// Whether there is a new entry on the tape.
    pub outcome: Outcome,
    /// The symbol of the tick.
    pub symbol: SymbolId,
    /// The previous source of the symbol, if the new entry is of another source.
    pub previous_source: Option<SourceId>,
}

impl Sequenced {
    /// The result for a new entry of a symbol, whose newest tick was of the source `previous`.
    fn accepted(seq: Seq, (symbol, source): (SymbolId, SourceId), previous: SourceId) -> Self {
        let other = ![source, SourceId::UNKNOWN].contains(&previous);
        Self {
            outcome: Outcome::Accepted(seq),
            symbol,
            previous_source: other.then_some(previous),
        }
    }

    /// The result for a tick that was dropped.
    const fn dropped(outcome: Outcome, symbol: SymbolId) -> Self {
        Self {
            outcome,
            symbol,
            previous_source: None,
        }
    }

    /// Returns the sequence number of the new entry, or `None` if the tick was dropped.
    #[must_use]
    pub const fn seq(&self) -> Option<Seq> {
        match self.outcome {
            Outcome::Accepted(seq) => Some(seq),
            Outcome::Late | Outcome::Unchanged => None,
        }
    }
}

/// The sequencer assigns each tick its sequence number, and updates the market and the tape. Made
/// by [`Sequencer::new`], or by [`Restore::done`] for a tape from an earlier run.
///
/// The sequencer is ahead of its readers: they see the new entries when it [shows](Self::show)
/// them. If something has to happen first, the sequencer [runs ahead](Self::run_ahead), and shows
/// the entries later, or takes them [back](Self::take_back).
#[derive(Debug)]
pub struct Sequencer {
    epoch: Epoch,
    limits: Limits,
    market: Market,
    tape: TapeWriter,
    /// One entry per symbol, by [`SymbolId`], after its newest entry, whether it is shown or not.
    /// `None` for symbols whose frames were encoded outside the core.
    quotes: Vec<Option<Quote>>,
    charts: Charts,
    /// What is not shown yet, if the sequencer runs ahead.
    ahead: Option<Ahead>,
    /// Requests that were published recently.
    keys: Keys,
    new_closes: NewCloses,
    scratch: Vec<u8>,
}

impl Sequencer {
    /// Makes a sequencer with an empty market and an empty tape.
    #[must_use]
    pub fn new(epoch: Epoch, limits: Limits) -> Self {
        Self::starting_at((Seq::ZERO, Digest::START), epoch, limits)
    }

    /// Makes a sequencer with an empty market. The first entry follows `head`, and the digest of the
    /// tape at `head` is `digest`.
    fn starting_at((head, digest): (Seq, Digest), epoch: Epoch, limits: Limits) -> Self {
        let symbols = limits.reserved_symbols();
        let mut market = Market::with_room(symbols);
        market.advance_to(head);
        Self {
            epoch,
            limits,
            market,
            tape: TapeWriter::new((head, digest), limits.tape_ticks, limits.tape_bytes),
            quotes: Vec::with_capacity(symbols),
            charts: Charts::new(symbols, limits.candles),
            ahead: None,
            keys: Keys::default(),
            new_closes: NewCloses::default(),
            scratch: Vec::new(),
        }
    }

    /// Accepts a tick, unless `options` say to drop it because it is late or unchanged.
    ///
    /// # Errors
    /// [`TickError::TimeInFuture`] if the tick is further ahead of `now` than `options` allow.
    /// [`TickError::TooManySymbols`] if its symbol is new and the market is full.
    pub fn accept(
        &mut self,
        tick: &Tick,
        source: SourceId,
        options: SourceOptions,
        now: Now,
    ) -> Result<Sequenced, TickError> {
        match tick.prev_close {
            None => self.accept_tick(tick, source, options, now),
            Some(close) => self.accept_with_close((tick, close), source, options, now),
        }
    }

    /// Accepts a tick that has a previous close, and notes the close if the symbol had another one.
    fn accept_with_close(
        &mut self,
        (tick, close): (&Tick, Price),
        source: SourceId,
        options: SourceOptions,
        now: Now,
    ) -> Result<Sequenced, TickError> {
        let id = self.market.names().id(&tick.symbol);
        let listed = id.filter(|id| self.is_listed(*id));
        let quote = listed.and_then(|id| self.quotes[id.index()].as_ref());
        let is_new = quote.and_then(|quote| quote.reference.close()) != Some(close);
        let sequenced = self.accept_tick(tick, source, options, now)?;
        if let Some(seq) = sequenced.seq().filter(|_| is_new) {
            let before = self.tape().start();
            self.new_closes.note((seq, close), before);
        }
        Ok(sequenced)
    }

    fn accept_tick(
        &mut self,
        tick: &Tick,
        source: SourceId,
        options: SourceOptions,
        now: Now,
    ) -> Result<Sequenced, TickError> {
        if let Some(time) = tick
            .time
            .filter(|time| time.is_ahead_of(now.wall, options.max_ahead))
        {
            return Err(TickError::TimeInFuture {
                time: time.as_millis(),
                max_ahead: options.max_ahead,
            });
        }
        let bounds = ClockBounds::new(now.wall, self.limits.max_skew);
        let id = self.add_symbol(tick.symbol)?;
        let before = self.kept(id);
        let listed = self.is_listed(id);
        let (derived, when, previous) = match &mut self.quotes[id.index()] {
            Some(quote) => {
                // A removed symbol has no newest tick, so a tick for it is neither late nor
                // unchanged. A newest time that cannot be true is no reason to drop a tick.
                let newest = quote.newest(bounds.horizon).filter(|_| listed);
                let time = tick
                    .time
                    .unwrap_or_else(|| newest.map_or(now.wall, |newest| newest.max(now.wall)));
                let when = TickTime::new(time, bounds);
                if !options.allow_late && newest.is_some_and(|newest| time < newest) {
                    return Ok(Sequenced::dropped(Outcome::Late, id));
                }
                // The price from before a restart is confirmed by the first tick, also by the same one.
                let is_owned = quote.source != SourceId::UNKNOWN;
                if listed && is_owned && options.drop_unchanged && quote.is_unchanged(tick, when) {
                    quote.keep_time(when);
                    return Ok(Sequenced::dropped(Outcome::Unchanged, id));
                }
                if !listed {
                    quote.reopen(tick, when);
                }
                let previous = quote.source;
                (quote.advance(tick, source, when), when, previous)
            }
            empty => {
                let when = TickTime::new(tick.time.unwrap_or(now.wall), bounds);
                let (quote, derived) = Quote::open(tick, source, when);
                *empty = Some(quote);
                (derived, when, SourceId::UNKNOWN)
            }
        };
        let frame = Frame::encode(tick, &derived, &mut self.scratch);
        let entry = self.next_entry((id, source), Some(frame), now);
        let price = NewPrice {
            price: tick.price,
            when,
        };
        let seq = self.push(entry, Some(price), before);
        Ok(Sequenced::accepted(seq, (id, source), previous))
    }

    /// Accepts a frame that was encoded outside the core as the newest tick of `symbol`.
    ///
    /// # Errors
    /// If the new symbol exceeds the maximum number of symbols.
    pub fn accept_frame(
        &mut self,
        symbol: Symbol,
        frame: Frame,
        now: Now,
    ) -> Result<Sequenced, TickError> {
        let id = self.add_symbol(symbol)?;
        let source = SourceId::UNKNOWN;
        let before = self.kept(id);
        if let Some(quote) = &mut self.quotes[id.index()] {
            (quote.listed, quote.source) = (true, source);
        }
        let entry = self.next_entry((id, source), Some(frame), now);
        let seq = self.push(entry, None, before);
        Ok(Sequenced::accepted(seq, (id, source), source))
    }

    /// Removes a symbol from the market. If the symbol returns before it is
    /// [forgotten](Restore::forget_until), its number `n` continues. Returns `None` if the symbol was not in the market.
    pub fn remove(&mut self, symbol: &Symbol, now: Now) -> Option<Sequenced> {
        let id = self.market.names().id(symbol);
        let id = id.filter(|id| self.is_listed(*id))?;
        let before = self.kept(id);
        let source = match &mut self.quotes[id.index()] {
            Some(quote) => {
                (quote.listed, quote.time) = (false, now.wall);
                quote.source
            }
            None => SourceId::UNKNOWN,
        };
        let entry = self.next_entry((id, source), None, now);
        let seq = self.push(entry, None, before);
        Some(Sequenced::accepted(seq, (id, source), source))
    }

    /// Returns the requests that were published recently, by idempotency key.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the cursor of the newest entry.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let tape = self.tape();
        let position = Position::new(tape.head(), tape.digest().check());
        Cursor {
            epoch: self.epoch,
            position,
        }
    }

    /// Returns the names of all symbols, which can be read while the sequencer goes on.
    #[must_use]
    pub fn names(&self) -> Arc<Names> {
        Arc::clone(self.market.names())
    }

    /// Returns the market: the newest tick of every symbol.
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// Returns the tape: the last ticks in order.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        let ahead = self.ahead.as_ref();
        ahead.map_or(self.tape.tape(), |ahead| &ahead.shown)
    }

    /// Returns the approximate size of the tape in bytes.
    #[must_use]
    pub const fn tape_bytes(&self) -> usize {
        self.tape.bytes()
    }

    /// Shows all entries to the readers: the [replicas](crate::Replica) and the
    /// [tapes](Self::tape). Returns whether there were new ones.
    pub fn show(&mut self) -> bool {
        match &self.ahead {
            Some(_) => self.show_until(self.mark()),
            None => self.tape.show(),
        }
    }

    /// Returns the previous close that was new with the tick `seq`, if there was one. Only ticks on
    /// the [`tape`](Self::tape) are known. Readers do not receive a close; a delayed market needs it.
    #[must_use]
    pub fn new_close(&self, seq: Seq) -> Option<Price> {
        self.new_closes.of(seq)
    }

    /// Returns the state of a symbol.
    #[must_use]
    pub fn quote(&self, id: SymbolId) -> Option<&Quote> {
        self.shown_quote(id)
    }

    /// Returns the candles of a symbol.
    #[must_use]
    pub fn candles(&self, id: SymbolId) -> &Candles {
        self.charts.of(id)
    }

    /// Returns the number of closed candles of all symbols together.
    #[must_use]
    pub const fn total_candles(&self) -> usize {
        self.charts.total()
    }

    /// Checks whether a symbol has a newest tick, whether it is shown or not.
    fn is_listed(&self, id: SymbolId) -> bool {
        match &self.quotes[id.index()] {
            Some(quote) => quote.listed,
            None => self.market.newest(id).is_some(),
        }
    }

    fn add_symbol(&mut self, symbol: Symbol) -> Result<SymbolId, TickError> {
        let market = &self.market;
        let names = market.names();
        if names.len() >= self.limits.symbols && names.id(&symbol).is_none() {
            return Err(TickError::TooManySymbols(self.limits.symbols));
        }
        let id = market.add_symbol(symbol);
        self.make_places(id);
        Ok(id)
    }

    /// Makes room for the state of a symbol, if the symbol is new.
    fn make_places(&mut self, id: SymbolId) {
        if id.index() == self.quotes.len() {
            self.quotes.push(None);
            self.charts.add_symbol();
        }
    }

    /// Returns the next entry: a tick, or the removal of the symbol.
    fn next_entry(
        &self,
        (id, source): (SymbolId, SourceId),
        tick: Option<Frame>,
        now: Now,
    ) -> Entry {
        let symbol = self.market.symbol(id);
        Entry::after(
            self.newest_position(),
            (id, symbol, source),
            tick,
            now.uptime,
        )
    }

    /// Applies the tape's entry `seq` to the market and the candles.
    fn apply(&mut self, seq: Seq, entry: &Entry, price: Option<NewPrice>) {
        self.market.apply(seq, entry);
        match price {
            Some(price) => self.charts.add(entry.symbol, price),
            None if entry.frame().is_none() => self.charts.forget(entry.symbol),
            None => {}
        }
    }
}

use ahead::Ahead;
pub use follow::Followed;
pub use restore::{Recorded, Restore};

#[cfg(test)]
mod tests;
