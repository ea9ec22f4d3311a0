//! The sequencer puts all ticks in one order. No other code assigns sequence numbers.

mod follow;
mod restore;

use std::sync::Arc;

use crate::new_closes::NewCloses;
use crate::quote::{ClockBounds, TickTime};
use crate::tape::TapeWriter;
use crate::{
    Candles, Cursor, Digest, Entry, EntryKind, Epoch, Frame, KeyProgress, Keys, Limits, Market,
    Names, Now, Position, Price, Quote, Seq, SourceId, SourceOptions, Symbol, SymbolId, Tape, Tick,
    TickError, Time,
};

/// Maximum number of symbols that drop candles each time the total has grown. Four symbols are
/// enough to return below the limit.
const SHRINK_STEPS: usize = 4;

/// Returns the maximum number of closed candles per symbol, if `symbols` symbols share `candles`
/// candles.
fn budget(candles: usize, symbols: usize) -> usize {
    candles
        .checked_div(symbols)
        .unwrap_or(candles)
        .max(Candles::MIN_BARS)
}

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
/// them.
#[derive(Debug)]
pub struct Sequencer {
    epoch: Epoch,
    limits: Limits,
    market: Market,
    tape: TapeWriter,
    /// One entry per symbol, by [`SymbolId`]. `None` for symbols whose frames were encoded outside
    /// the core.
    quotes: Vec<Option<Quote>>,
    /// Number of closed candles of all symbols together.
    candles: usize,
    /// Last symbol that was asked to drop candles when there were too many.
    last_shrunk: usize,
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
        let mut market = Market::default();
        market.advance_to(head);
        Self {
            epoch,
            limits,
            market,
            tape: TapeWriter::new((head, digest), limits.tape_ticks, limits.tape_bytes),
            quotes: Vec::new(),
            candles: 0,
            last_shrunk: 0,
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
        let market = self.market();
        let id = market.id(&tick.symbol);
        let listed = id.filter(|id| market.newest(*id).is_some());
        let quote = listed.and_then(|id| self.quote(id));
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
        let (quote, derived, when) = match &mut self.quotes[id.index()] {
            Some(quote) => {
                // A removed symbol has no newest tick, so a tick for it is neither late nor
                // unchanged. A newest time that cannot be true is no reason to drop a tick.
                let listed = self.market.newest(id).is_some();
                let newest = quote.newest(bounds.horizon).filter(|_| listed);
                let time = tick
                    .time
                    .unwrap_or_else(|| newest.map_or(now.wall, |newest| newest.max(now.wall)));
                let when = TickTime::new(time, bounds);
                if !options.allow_late && newest.is_some_and(|newest| time < newest) {
                    return Ok(Sequenced::dropped(Outcome::Late, id));
                }
                if listed && options.drop_unchanged && quote.is_unchanged(tick, when) {
                    quote.keep_time(when);
                    return Ok(Sequenced::dropped(Outcome::Unchanged, id));
                }
                if !listed {
                    quote.reopen(tick, when);
                }
                let derived = quote.advance(tick, source, when);
                (quote, derived, when)
            }
            empty => {
                let when = TickTime::new(tick.time.unwrap_or(now.wall), bounds);
                let (quote, derived) = Quote::open(tick, source, when);
                (empty.insert(quote), derived, when)
            }
        };
        let max_candles = budget(self.limits.candles, self.market.len());
        let grown = quote
            .candles
            .add(when.effective, tick.price, bounds.horizon, max_candles);
        let frame = Frame::encode(tick, &derived, &mut self.scratch);
        self.count_candles(grown, max_candles);
        Ok(self.append((id, source), EntryKind::Tick(frame), now))
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
        Ok(self.append((id, SourceId::UNKNOWN), EntryKind::Tick(frame), now))
    }

    /// Removes a symbol from the market. If the symbol returns, its number `n` continues. Returns
    /// `None` if the symbol was not in the market.
    pub fn remove(&mut self, symbol: &Symbol, now: Now) -> Option<Sequenced> {
        let market = &self.market;
        let id = market
            .id(symbol)
            .filter(|id| market.newest(*id).is_some())?;
        let source = market.source(id);
        self.forget_candles(id);
        Some(self.append((id, source), EntryKind::Removal, now))
    }

    /// Returns the requests that were published recently, by idempotency key.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Records the progress of a request.
    pub fn record_key(&mut self, progress: KeyProgress<'_>, now: Time) {
        self.keys.record(progress, now);
    }

    /// Returns the cursor of the newest entry.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        let tape = self.tape.tape();
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
    pub const fn tape(&self) -> &Tape {
        self.tape.tape()
    }

    /// Returns the approximate size of the tape in bytes.
    #[must_use]
    pub const fn tape_bytes(&self) -> usize {
        self.tape.bytes()
    }

    /// Shows all entries to the readers: the [replicas](crate::Replica) and the
    /// [tapes](Self::tape). Returns whether there were new ones.
    pub fn show(&self) -> bool {
        self.tape.show()
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
        self.quotes[id.index()].as_ref()
    }

    /// Returns the number of closed candles of all symbols together.
    #[must_use]
    pub const fn candles(&self) -> usize {
        self.candles
    }

    /// Adds `grown` to the number of candles. If the total exceeds the limit, some symbols drop the
    /// candles above their share. Each call asks at most [`SHRINK_STEPS`] symbols.
    fn count_candles(&mut self, grown: isize, max_candles: usize) {
        self.candles = self.candles.saturating_add_signed(grown);
        if grown <= 0 {
            return;
        }
        for _ in 0..SHRINK_STEPS {
            if self.candles <= self.limits.candles {
                return;
            }
            self.last_shrunk = (self.last_shrunk + 1) % self.quotes.len();
            if let Some(quote) = &mut self.quotes[self.last_shrunk] {
                let before = quote.candles.len();
                quote.candles.shrink(max_candles);
                self.candles -= before - quote.candles.len();
            }
        }
    }

    /// Drops the candles of a removed symbol.
    fn forget_candles(&mut self, id: SymbolId) {
        if let Some(quote) = &mut self.quotes[id.index()] {
            self.candles -= std::mem::take(&mut quote.candles).len();
        }
    }

    fn add_symbol(&mut self, symbol: Symbol) -> Result<SymbolId, TickError> {
        let market = &mut self.market;
        if market.len() >= self.limits.symbols && market.id(&symbol).is_none() {
            return Err(TickError::TooManySymbols(self.limits.symbols));
        }
        let id = market.add_symbol(symbol);
        if id.index() == self.quotes.len() {
            self.quotes.push(None);
        }
        Ok(id)
    }

    fn append(
        &mut self,
        (id, source): (SymbolId, SourceId),
        kind: EntryKind,
        now: Now,
    ) -> Sequenced {
        let previous = self.market.source(id);
        let symbol = self.market.symbol(id);
        let entry = Entry::after(self.tape().digest(), (id, symbol, source), kind, now.uptime);
        Sequenced {
            outcome: Outcome::Accepted(self.apply(entry)),
            symbol: id,
            previous_source: Some(previous)
                .filter(|previous| ![source, SourceId::UNKNOWN].contains(previous)),
        }
    }
}

impl Sequencer {
    /// Applies the next entry to the market and the tape. Returns the sequence number of the entry.
    fn apply(&mut self, entry: Entry) -> Seq {
        self.market.apply(self.tape().head().next(), &entry);
        self.tape.push(entry)
    }

    /// Adds the next entry to the tape only, because the market is ahead of the entry for this
    /// symbol.
    fn skip(&mut self, entry: Entry) -> Seq {
        self.market.advance_to(self.tape().head().next());
        self.tape.push(entry)
    }
}

pub use follow::Followed;
pub use restore::{Recorded, Restore};

#[cfg(test)]
mod tests;
