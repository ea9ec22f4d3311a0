//! One order for all ticks: the only place that gives out sequence numbers.

mod restore;

use std::time::Duration;

use crate::{
    Cursor, Entry, Epoch, Frame, Instant, Market, Origin, Quote, Replica, Seq, Symbol, SymbolId, Tape, Tick,
    TickError,
};

/// How far ahead of the wall clock a tick may claim to be: one day, since clocks and time zones go wrong, units more so.
const MAX_AHEAD: Duration = Duration::from_secs(86_400);

/// How much a sequencer keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most symbols. Default 100,000: a flood of made-up names ends here.
    pub symbols: usize,
    /// Most ticks on the tape. Default 262,144: some 20 minutes at 200 ticks/s, 2.6 s at 100,000.
    pub tape_ticks: usize,
    /// Most bytes of ticks on the tape. Default 64 MiB.
    pub tape_bytes: usize,
    /// Most closed candles of all symbols together. Default 1,000,000, some 80 MB: beyond, each costs its symbol an older one.
    pub candles: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { symbols: 100_000, tape_ticks: 262_144, tape_bytes: 64 << 20, candles: 1_000_000 }
    }
}

/// What a source's ticks are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Take ticks older than their symbol's newest, too. Default: they are dropped as late.
    pub allow_late: bool,
    /// Drop ticks that repeat their symbol's price and extras; only their newer time is kept. Default: they count.
    pub drop_repeats: bool,
}

/// What became of a tick that was sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the tape, at this place.
    Taken(Seq),
    /// It was older than its symbol's newest and was dropped.
    Late,
    /// It repeated its symbol's newest and was dropped.
    Repeat,
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
    /// What happened last, happened to this one.
    touched: Option<SymbolId>,
    /// Whose that one was before, where it was another source's.
    taken_from: Option<Origin>,
    scratch: Vec<u8>,
}

impl Sequencer {
    /// An empty market and tape.
    #[must_use]
    pub fn new(epoch: Epoch, limits: Limits) -> Self {
        let tape = Tape::new(Seq::ZERO, limits.tape_ticks, limits.tape_bytes);
        let (market, quotes, scratch) = (Market::default(), Vec::new(), Vec::new());
        Self { epoch, limits, market, tape, quotes, candles: 0, touched: None, taken_from: None, scratch }
    }

    /// Takes a tick, unless it is late or a repeat where `rules` say so.
    ///
    /// # Errors
    /// Where it lies more than a day ahead of `now`, or brings one symbol too many.
    pub fn accept(
        &mut self,
        tick: &Tick,
        origin: Origin,
        rules: Rules,
        now: Instant,
    ) -> Result<Outcome, TickError> {
        if let Some(time) = tick.time.filter(|time| *time > now.wall.saturating_add(MAX_AHEAD)) {
            return Err(TickError::Ahead(time.as_millis()));
        }
        let id = self.admit(tick.symbol)?;
        let (quote, told) = match &mut self.quotes[id.index()] {
            Some(quote) => {
                let time = tick.time.unwrap_or(now.wall);
                // A symbol that was taken off has no newest tick to be late for, or to repeat.
                let listed = self.market.newest(id).is_some();
                if listed && time < quote.time && tick.time.is_some() && !rules.allow_late {
                    return Ok(Outcome::Late);
                }
                if listed && rules.drop_repeats && quote.repeats(tick, time) {
                    quote.time = quote.time.max(time);
                    return Ok(Outcome::Repeat);
                }
                let told = quote.advance(tick, origin, now);
                (quote, told)
            }
            empty => {
                let (quote, told) = Quote::open(tick, origin, now);
                (empty.insert(quote), told)
            }
        };
        let full = self.candles >= self.limits.candles;
        self.candles += quote.candles.add(told.time, tick.price, full);
        let frame = Frame::encode(tick, &told, &mut self.scratch);
        Ok(Outcome::Taken(self.append((id, origin), Some(frame), now)))
    }

    /// Takes a frame made elsewhere as the newest of `symbol`.
    ///
    /// # Errors
    /// Where it brings one symbol too many.
    pub fn accept_frame(&mut self, symbol: Symbol, frame: Frame, now: Instant) -> Result<Seq, TickError> {
        let id = self.admit(symbol)?;
        Ok(self.append((id, Origin::UNKNOWN), Some(frame), now))
    }

    /// Takes a symbol off the market. Its ticks stay counted, should it come back. `None`: it was not on it.
    pub fn remove(&mut self, symbol: &Symbol, now: Instant) -> Option<Seq> {
        let id = self.market.id(symbol).filter(|id| self.market.newest(*id).is_some())?;
        Some(self.append((id, self.market.origin(id)), None, now))
    }

    /// The place of the newest entry.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, seq: self.tape.head() }
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

    /// The symbol that the newest entry is about, if there has been one since this was made.
    #[must_use]
    pub const fn touched(&self) -> Option<SymbolId> {
        self.touched
    }

    /// Whose symbol the newest entry is about, where it was another source's before.
    #[must_use]
    pub const fn taken_from(&self) -> Option<Origin> {
        self.taken_from
    }

    /// Brings `replica` at most `most` entries closer to here; says whether it has arrived.
    pub fn advance(&self, replica: &mut Replica, most: usize) -> bool {
        replica.follow(&self.market, &self.tape, most)
    }

    fn admit(&mut self, symbol: Symbol) -> Result<SymbolId, TickError> {
        if self.market.len() >= self.limits.symbols && self.market.id(&symbol).is_none() {
            return Err(TickError::TooManySymbols(self.limits.symbols));
        }
        let id = self.market.admit(symbol);
        if id.index() == self.quotes.len() {
            self.quotes.push(None);
        }
        Ok(id)
    }

    fn append(&mut self, (symbol, origin): (SymbolId, Origin), frame: Option<Frame>, now: Instant) -> Seq {
        self.touched = Some(symbol);
        let before = self.market.origin(symbol);
        self.taken_from = (before != origin && before != Origin::UNKNOWN).then_some(before);
        let entry = Entry { symbol, origin, arrived: now.uptime, frame };
        self.market.apply(self.tape.head().next(), &entry);
        self.tape.push(entry)
    }
}

pub use restore::{Recorded, Restoring};

#[cfg(test)]
mod tests;
