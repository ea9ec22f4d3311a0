//! What the sequencer keeps of a symbol besides its newest tick.

use crate::frame::Told;
use crate::{Extras, Instant, Price, Tick, Time};

/// Who published a tick: a number that the shell gives its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Origin(pub u16);

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
    extras: Extras,
}

impl Quote {
    /// The standing after a symbol's first tick.
    pub(crate) fn open(tick: &Tick, origin: Origin, now: Instant) -> (Self, Told) {
        let time = tick.time.unwrap_or(now.wall);
        let reference = Reference::FirstOfDay { price: tick.price, day: time.utc_day() };
        let extras = tick.extras.clone();
        let mut quote = Self { n: 0, price: tick.price, time, first_time: time, reference, origin, extras };
        let told = quote.advance(tick, origin, now);
        (quote, told)
    }

    /// Takes one more tick and says what its readers are told.
    pub(crate) fn advance(&mut self, tick: &Tick, origin: Origin, now: Instant) -> Told {
        let time = tick.time.unwrap_or(now.wall);
        self.n += 1;
        self.price = tick.price;
        self.time = time;
        self.origin = origin;
        self.extras.clone_from(&tick.extras);
        self.reference = match (tick.prev_close, self.reference) {
            (Some(close), _) => Reference::PrevClose(close),
            (None, Reference::FirstOfDay { day, .. }) if time.utc_day() > day => {
                Reference::FirstOfDay { price: tick.price, day: time.utc_day() }
            }
            (None, standing) => standing,
        };
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
