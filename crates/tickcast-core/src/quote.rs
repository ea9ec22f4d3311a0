//! What the sequencer keeps of a symbol besides its newest tick.

use crate::frame::Told;
use crate::{Candles, Extras, Facts, Frame, Instant, Price, Seq, Symbol, Tick, Time};

/// Who published a tick: a number that the shell gives its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Origin(pub u16);

impl Origin {
    /// Nobody who is known in this run: a tick from before a restart, say, when sources may have been others.
    pub const UNKNOWN: Self = Self(u16::MAX);
}

/// What a symbol's changes are measured from.
#[derive(Debug, Clone, Copy)]
pub enum Reference {
    /// A previous close that a publisher gave; it holds until the next one.
    PrevClose(Price),
    /// The symbol's first price of a UTC day.
    FirstOfDay {
        /// The price.
        price: Price,
        /// The day, counted from 1970-01-01.
        day: i64,
    },
}

impl Reference {
    /// The price that changes are measured from.
    #[must_use]
    pub const fn price(self) -> Price {
        match self {
            Self::PrevClose(price) | Self::FirstOfDay { price, .. } => price,
        }
    }

    /// What it is after a tick of this price and time.
    fn after(self, price: Price, prev_close: Option<Price>, time: Time) -> Self {
        match (prev_close, self) {
            (Some(close), _) => Self::PrevClose(close),
            (None, Self::FirstOfDay { day, .. }) if time.utc_day() > day => {
                Self::FirstOfDay { price, day: time.utc_day() }
            }
            (None, standing) => standing,
        }
    }
}

/// A symbol's standing: how often it ticked, when, and from where its change is measured.
#[derive(Debug, Clone)]
pub struct Quote {
    /// How many ticks were taken; the newest carries this number.
    pub n: u64,
    /// The newest tick's price.
    pub price: Price,
    /// The newest tick's time.
    pub time: Time,
    /// The first tick's time.
    pub first_time: Time,
    /// What changes are measured from.
    pub reference: Reference,
    /// Who sent the newest tick.
    pub origin: Origin,
    /// What its prices did.
    pub candles: Candles,
    extras: Extras,
}

/// A symbol with all there is to know of it, as of one place on the tape.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Which.
    pub symbol: Symbol,
    /// Everything up to here is in it.
    pub as_of: Seq,
    /// Where it last moved.
    pub moved: Seq,
    /// Its newest tick; `None`: it was taken off.
    pub frame: Option<Frame>,
    /// The rest.
    pub quote: Quote,
}

impl Quote {
    /// The standing after a symbol's first tick.
    pub(crate) fn open(tick: &Tick, origin: Origin, now: Instant) -> (Self, Told) {
        let time = tick.time.unwrap_or(now.wall);
        let reference = Reference::FirstOfDay { price: tick.price, day: time.utc_day() };
        let extras = tick.extras.clone();
        let candles = Candles::new();
        let mut quote =
            Self { n: 0, price: tick.price, time, first_time: time, reference, origin, candles, extras };
        let told = quote.advance(tick, origin, now);
        (quote, told)
    }

    /// A standing as it was before, in an earlier run perhaps; `extras` as they stood in the newest tick's JSON.
    #[must_use]
    pub fn restored(
        (n, price): (u64, Price),
        (first_time, time): (Time, Time),
        reference: Reference,
        extras: &[u8],
    ) -> Self {
        let (candles, extras, origin) = (Candles::new(), Extras::read_back(extras), Origin::UNKNOWN);
        Self { n, price, time, first_time, reference, origin, candles, extras }
    }

    /// The newest tick's extras, as the tail of a JSON object.
    #[must_use]
    pub fn extras(&self) -> &[u8] {
        self.extras.as_json()
    }

    /// Takes one more tick that was taken before, from what readers were told. `None`: it says no price.
    pub(crate) fn advance_again(
        standing: Option<Self>,
        facts: &Facts<'_>,
        prev_close: Option<Price>,
    ) -> Option<Self> {
        let price = Price::read_back(facts.price).ok()?;
        let mut quote = standing.unwrap_or_else(|| {
            let reference = Reference::FirstOfDay { price, day: facts.time.utc_day() };
            Self::restored((0, price), (facts.time, facts.time), reference, &[])
        });
        (quote.n, quote.price, quote.time) = (facts.n, price, facts.time);
        quote.extras = Extras::read_back(facts.extras);
        quote.reference = quote.reference.after(price, prev_close, facts.time);
        Some(quote)
    }

    /// Takes one more tick and says what its readers are told.
    pub(crate) fn advance(&mut self, tick: &Tick, origin: Origin, now: Instant) -> Told {
        let time = tick.time.unwrap_or(now.wall);
        self.n += 1;
        self.price = tick.price;
        self.time = time;
        self.origin = origin;
        self.extras.clone_from(&tick.extras);
        self.reference = self.reference.after(tick.price, tick.prev_close, time);
        let (change, base) = self.change(tick);
        Told { change, change_pct: change.percent_of(base), time, n: self.n }
    }

    /// Whether `tick`, which happens at `time`, says nothing new but that. The first of a day does: it is the reference.
    pub(crate) fn repeats(&self, tick: &Tick, time: Time) -> bool {
        let opens_day = matches!(self.reference, Reference::FirstOfDay { day, .. } if time.utc_day() > day);
        !opens_day
            && tick.price.is_written_like(self.price)
            && tick.extras == self.extras
            && tick.prev_close.is_none_or(|close| close == self.reference.price())
    }

    /// The change, and the price it is measured from. A publisher's own change without a close implies its own base.
    fn change(&self, tick: &Tick) -> (Price, Price) {
        match (tick.change, tick.prev_close) {
            (Some(change), Some(close)) => (change, close),
            (Some(change), None) => (change, tick.price.minus(change)),
            (None, _) => {
                let base = self.reference.price();
                (tick.price.minus(base), base)
            }
        }
    }
}
