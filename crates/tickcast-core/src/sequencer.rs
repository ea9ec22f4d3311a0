//! The sequencer puts all ticks in one order. No other code assigns sequence numbers.

mod restore;

use crate::quote::{ClockBounds, TickTime};
use crate::{
    Candles, Cursor, Digest, Entry, Epoch, Frame, KeyProgress, Keys, Limits, Market, Now, Position, Quote,
    Replica, Seq, SourceId, SourceOptions, Symbol, SymbolId, Tape, Tick, TickError, Time,
};

/// Maximum number of symbols that drop candles each time the total has grown. Four symbols are enough to
/// return below the limit.
const GIVE_WAY_STEPS: usize = 4;

/// Returns the maximum number of closed candles per symbol, if `symbols` symbols share `candles` candles.
fn budget(candles: usize, symbols: usize) -> usize {
    candles.checked_div(symbols).unwrap_or(candles).max(Candles::MIN_BARS)
}

/// Result for a valid tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The tick is on the tape, with this sequence number.
    Accepted(Seq),
    /// The tick was older than the newest tick of its symbol, and was dropped.
    Late,
    /// The tick was equal to the newest tick of its symbol, and was dropped.
    Unchanged,
}

/// The sequencer assigns each tick its sequence number, and updates the market and the tape.
#[derive(Debug)]
pub struct Sequencer {
    epoch: Epoch,
    limits: Limits,
    market: Market,
    tape: Tape,
    /// One entry per symbol, by [`SymbolId`]. `None` for symbols whose frames were encoded outside the core.
    quotes: Vec<Option<Quote>>,
    /// Number of closed candles of all symbols together.
    candles: usize,
    /// Last symbol that was asked to drop candles when there were too many.
    next_to_give_way: usize,
    /// Symbol of the newest entry.
    touched: Option<SymbolId>,
    /// Source of that symbol before the newest entry, if this was another source.
    taken_from: Option<SourceId>,
    /// Requests that were published recently.
    keys: Keys,
    scratch: Vec<u8>,
}

impl Sequencer {
    /// Makes a sequencer with an empty market and an empty tape.
    #[must_use]
    pub fn new(epoch: Epoch, limits: Limits) -> Self {
        let tape = Tape::new((Seq::ZERO, Digest::START), limits.tape_ticks, limits.tape_bytes);
        let (market, quotes, scratch) = (Market::default(), Vec::new(), Vec::new());
        Self {
            epoch,
            limits,
            market,
            tape,
            quotes,
            candles: 0,
            next_to_give_way: 0,
            touched: None,
            taken_from: None,
            keys: Keys::default(),
            scratch,
        }
    }

    /// Accepts a tick, unless `rules` say to drop it because it is late or unchanged.
    ///
    /// # Errors
    /// If the tick is further ahead of `now` than `rules` allow, or if its new symbol exceeds the maximum.
    pub fn accept(
        &mut self,
        tick: &Tick,
        origin: SourceId,
        rules: SourceOptions,
        now: Now,
    ) -> Result<Outcome, TickError> {
        if let Some(time) = tick.time.filter(|time| time.is_ahead_of(now.wall, rules.max_ahead)) {
            return Err(TickError::TimeInFuture { time: time.as_millis(), max_ahead: rules.max_ahead });
        }
        let moment = ClockBounds::new(now.wall, self.limits.max_skew);
        let id = self.add_symbol(tick.symbol)?;
        let (quote, told, when) = match &mut self.quotes[id.index()] {
            Some(quote) => {
                // A removed symbol has no newest tick, so a tick for it is neither late nor unchanged. A
                // newest time that cannot be true is no reason to drop a tick.
                let listed = self.market.newest(id).is_some();
                let newest = quote.newest(moment.horizon).filter(|_| listed);
                let time =
                    tick.time.unwrap_or_else(|| newest.map_or(now.wall, |newest| newest.max(now.wall)));
                let when = TickTime::new(time, moment);
                if !rules.allow_late && newest.is_some_and(|newest| time < newest) {
                    return Ok(Outcome::Late);
                }
                if listed && rules.drop_unchanged && quote.is_unchanged(tick, when) {
                    quote.keep_time(when);
                    return Ok(Outcome::Unchanged);
                }
                if !listed {
                    quote.reopen(tick, when);
                }
                let told = quote.advance(tick, origin, when);
                (quote, told, when)
            }
            empty => {
                let when = TickTime::new(tick.time.unwrap_or(now.wall), moment);
                let (quote, told) = Quote::open(tick, origin, when);
                (empty.insert(quote), told, when)
            }
        };
        let most = budget(self.limits.candles, self.market.len());
        let grown = quote.candles.add(when.effective, tick.price, moment.horizon, most);
        let frame = Frame::encode(tick, &told, &mut self.scratch);
        self.count_candles(grown, most);
        Ok(Outcome::Accepted(self.append((id, origin), Some(frame), now)))
    }

    /// Accepts a frame that was encoded outside the core as the newest tick of `symbol`.
    ///
    /// # Errors
    /// If the new symbol exceeds the maximum number of symbols.
    pub fn accept_frame(&mut self, symbol: Symbol, frame: Frame, now: Now) -> Result<Seq, TickError> {
        let id = self.add_symbol(symbol)?;
        Ok(self.append((id, SourceId::UNKNOWN), Some(frame), now))
    }

    /// Removes a symbol from the market. If the symbol returns, its number `n` continues. Returns `None` if
    /// the symbol was not in the market.
    pub fn remove(&mut self, symbol: &Symbol, now: Now) -> Option<Seq> {
        let id = self.market.id(symbol).filter(|id| self.market.newest(*id).is_some())?;
        self.forget_candles(id);
        Some(self.append((id, self.market.source(id)), None, now))
    }

    /// Returns the requests that were published recently, by idempotency key.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Records the progress of a request.
    pub fn record_key(&mut self, note: KeyProgress<'_>, now: Time) {
        self.keys.record(note, now);
    }

    /// Returns the cursor of the newest entry.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        let position = Position::new(self.tape.head(), self.tape.digest().check());
        Cursor { epoch: self.epoch, position }
    }

    /// Returns the market: the newest tick of every symbol.
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// Returns the tape: the last ticks in order.
    #[must_use]
    pub const fn tape(&self) -> &Tape {
        &self.tape
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

    /// Returns the symbol of the newest entry, if this sequencer has appended an entry.
    #[must_use]
    pub const fn touched(&self) -> Option<SymbolId> {
        self.touched
    }

    /// Returns the previous source of the symbol of the newest entry, if this was another source.
    #[must_use]
    pub const fn previous_source(&self) -> Option<SourceId> {
        self.taken_from
    }

    /// Applies at most `most` new entries to `replica`. Returns whether the replica is up to date.
    pub fn advance(&self, replica: &mut Replica, most: usize) -> bool {
        replica.catch_up(&self.market, &self.tape, most)
    }

    /// Adds `grown` to the number of candles. If the total exceeds the limit, some symbols drop the candles
    /// above their share. Each call asks at most [`GIVE_WAY_STEPS`] symbols.
    fn count_candles(&mut self, grown: isize, most: usize) {
        self.candles = self.candles.saturating_add_signed(grown);
        if grown <= 0 {
            return;
        }
        for _ in 0..GIVE_WAY_STEPS {
            if self.candles <= self.limits.candles {
                return;
            }
            self.next_to_give_way = (self.next_to_give_way + 1) % self.quotes.len();
            if let Some(quote) = &mut self.quotes[self.next_to_give_way] {
                let before = quote.candles.len();
                quote.candles.shrink(most);
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
        if self.market.len() >= self.limits.symbols && self.market.id(&symbol).is_none() {
            return Err(TickError::TooManySymbols(self.limits.symbols));
        }
        let id = self.market.add_symbol(symbol);
        if id.index() == self.quotes.len() {
            self.quotes.push(None);
        }
        Ok(id)
    }

    fn append(&mut self, (symbol, origin): (SymbolId, SourceId), frame: Option<Frame>, now: Now) -> Seq {
        self.touched = Some(symbol);
        let before = self.market.source(symbol);
        self.taken_from = (before != origin && before != SourceId::UNKNOWN).then_some(before);
        let of = (symbol, self.market.symbol(symbol), origin);
        let entry = Entry::after(self.tape.digest(), of, frame, now.uptime);
        self.market.apply(self.tape.head().next(), &entry);
        self.tape.push(entry)
    }
}

pub use restore::{Recorded, Restore};

#[cfg(test)]
mod tests;
