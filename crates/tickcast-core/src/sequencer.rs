//! One order for all ticks: the only place that gives out sequence numbers.

mod restore;

use crate::quote::{ClockBounds, TickTime};
use crate::{
    Candles, Cursor, Digest, Entry, Epoch, Frame, KeyProgress, Keys, Limits, Market, Now, Position, Quote,
    Replica, Seq, SourceId, SourceOptions, Symbol, SymbolId, Tape, Tick, TickError, Time,
};

/// How many symbols are asked to give up candles for each candle that is one too many: enough to get back below the limit.
const GIVE_WAY_STEPS: usize = 4;

/// How many closed candles each of so many symbols may have.
fn budget(candles: usize, symbols: usize) -> usize {
    candles.checked_div(symbols).unwrap_or(candles).max(Candles::MIN_BARS)
}

/// What became of a tick that was sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the tape, at this place.
    Accepted(Seq),
    /// It was older than its symbol's newest and was dropped.
    Late,
    /// It repeated its symbol's newest and was dropped.
    Unchanged,
}

/// Gives every tick its place, and keeps the market and the tape that follow from them.
#[derive(Debug)]
pub struct Sequencer {
    epoch: Epoch,
    limits: Limits,
    market: Market,
    tape: Tape,
    /// One a symbol, by [`SymbolId`]; `None` for symbols whose frames were made elsewhere.
    quotes: Vec<Option<Quote>>,
    /// How many closed candles they hold together.
    candles: usize,
    /// Which symbol is the next to give up candles where there are too many.
    next_to_give_way: usize,
    /// What happened last, happened to this one.
    touched: Option<SymbolId>,
    /// Whose that one was before, where it was another source's.
    taken_from: Option<SourceId>,
    /// The requests that were published lately.
    keys: Keys,
    scratch: Vec<u8>,
}

impl Sequencer {
    /// An empty market and tape.
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

    /// Takes a tick, unless it is late or a repeat where `rules` say so.
    ///
    /// # Errors
    /// Where it lies further ahead of `now` than `rules` say, or brings one symbol too many.
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
                // A symbol that was taken off has no newest tick to be late for, or to repeat, and a newest time that cannot
                // be is no reason to drop what can.
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

    /// Takes a frame made elsewhere as the newest of `symbol`.
    ///
    /// # Errors
    /// Where it brings one symbol too many.
    pub fn accept_frame(&mut self, symbol: Symbol, frame: Frame, now: Now) -> Result<Seq, TickError> {
        let id = self.add_symbol(symbol)?;
        Ok(self.append((id, SourceId::UNKNOWN), Some(frame), now))
    }

    /// Takes a symbol off the market. Its ticks stay counted, should it come back. `None`: it was not on it.
    pub fn remove(&mut self, symbol: &Symbol, now: Now) -> Option<Seq> {
        let id = self.market.id(symbol).filter(|id| self.market.newest(*id).is_some())?;
        self.forget_candles(id);
        Some(self.append((id, self.market.source(id)), None, now))
    }

    /// The requests that were published lately, by their keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Notes how far a request has come.
    pub fn record_key(&mut self, note: KeyProgress<'_>, now: Time) {
        self.keys.record(note, now);
    }

    /// The place of the newest entry.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        let position = Position::new(self.tape.head(), self.tape.digest().check());
        Cursor { epoch: self.epoch, position }
    }

    /// The newest tick of every symbol.
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// The last ticks in order.
    #[must_use]
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// A symbol's standing.
    #[must_use]
    pub fn quote(&self, id: SymbolId) -> Option<&Quote> {
        self.quotes[id.index()].as_ref()
    }

    /// How many closed candles all symbols have together.
    #[must_use]
    pub const fn candles(&self) -> usize {
        self.candles
    }

    /// The symbol that the newest entry is about, if there has been one since this was made.
    #[must_use]
    pub const fn touched(&self) -> Option<SymbolId> {
        self.touched
    }

    /// Whose symbol the newest entry is about, where it was another source's before.
    #[must_use]
    pub const fn previous_source(&self) -> Option<SourceId> {
        self.taken_from
    }

    /// Brings `replica` at most `most` entries closer to here; says whether it has arrived.
    pub fn advance(&self, replica: &mut Replica, most: usize) -> bool {
        replica.catch_up(&self.market, &self.tape, most)
    }

    /// There are so many candles more. Where there are too many, symbols that have more than their share give some up, so many
    /// symbols at a time.
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

    /// A symbol that is taken off takes its candles along.
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
