//! The data that the sequencer holds for each symbol in addition to the newest tick.

use std::time::Duration;

use crate::tick::Derived;
use crate::{
    Candles, Extras, Frame, Mark, Position, Price, Seq, SourceId, Symbol, Tick, TickView, Time,
};

/// The price that the changes of a symbol are measured from. Field of a [`Quote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A previous close from a publisher, valid until the next previous close. Contains the price.
    PrevClose(Price),
    /// The first price of the symbol on a UTC day.
    FirstOfDay {
        /// The price.
        price: Price,
        /// The day, counted from 1970-01-01.
        day: i64,
    },
}

impl Reference {
    /// Returns the price that changes are measured from.
    #[must_use]
    pub const fn price(self) -> Price {
        match self {
            Self::PrevClose(price) | Self::FirstOfDay { price, .. } => price,
        }
    }

    /// Returns the previous close, if the reference is one.
    pub(crate) const fn close(self) -> Option<Price> {
        match self {
            Self::PrevClose(close) => Some(close),
            Self::FirstOfDay { .. } => None,
        }
    }

    /// Returns the reference after a tick with this price. A day after the horizon comes from a
    /// wrong clock and is replaced.
    fn after(self, price: Price, prev_close: Option<Price>, when: TickTime) -> Self {
        let today = when.effective.utc_day();
        match (prev_close, self) {
            (Some(close), _) => Self::PrevClose(close),
            (None, Self::FirstOfDay { day, .. }) if today > day || day > when.horizon.utc_day() => {
                Self::FirstOfDay { price, day: today }
            }
            (None, current) => current,
        }
    }
}

/// Time of a tick, limited to what can be true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TickTime {
    /// Time from the publisher, or the arrival time. Readers receive this time.
    pub(crate) time: Time,
    /// Latest time that is believed: now plus the maximum difference of clocks.
    pub(crate) horizon: Time,
    /// Time for reference and candles: `time`, or now if `time` is after the horizon.
    pub(crate) effective: Time,
    /// Time for the lateness check of later ticks: `time`, or, if `time` is after the horizon, now
    /// minus the maximum difference of clocks. So a tick with a wrong time does not make the next
    /// tick of a correct clock late.
    pub(crate) order: Time,
}

impl TickTime {
    pub(crate) fn new(time: Time, bounds: ClockBounds) -> Self {
        let ClockBounds { now, horizon } = bounds;
        let (effective, order) = if time > horizon {
            (now, now.saturating_sub(horizon.since(now)))
        } else {
            (time, time)
        };
        Self {
            time,
            horizon,
            effective,
            order,
        }
    }
}

/// Now, by the wall clock, and the latest time that is believed at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockBounds {
    pub(crate) now: Time,
    pub(crate) horizon: Time,
}

impl ClockBounds {
    pub(crate) fn new(now: Time, max_skew: Duration) -> Self {
        Self {
            now,
            horizon: now.saturating_add(max_skew),
        }
    }
}

/// State of a symbol: how many ticks were accepted, their times, and the reference of the change.
/// Returned by [`Sequencer::quote`](crate::Sequencer::quote).
#[derive(Debug, Clone)]
pub struct Quote {
    /// Number of accepted ticks; the newest tick has this number. The first tick has 1.
    pub n: u64,
    /// Price of the newest tick.
    pub price: Price,
    /// Time of the newest tick. If the symbol was removed, time of its removal.
    pub time: Time,
    /// Time of the first tick since the symbol appeared, or appeared again after its removal.
    pub first_time: Time,
    /// Reference of the changes.
    pub reference: Reference,
    /// Source of the newest tick.
    pub source: SourceId,
    /// Time for the lateness check: a tick with an older time is late.
    order: Time,
    /// Whether the symbol has a newest tick. A removed symbol has none.
    pub(crate) listed: bool,
    /// The oldest and the newest change of the symbol that readers do not see yet.
    pub(crate) unshown: Option<(Mark, Mark)>,
    /// Change of the newest tick as sent to readers, and the same in percent.
    change: (Price, Option<Price>),
    extras: Extras,
}

/// The full state of a symbol as of one position on the tape. Returned by
/// [`Sequencer::symbol_snapshot`](crate::Sequencer::symbol_snapshot). Pass it to
/// [`Restore::symbol`](crate::Restore::symbol).
#[derive(Debug, Clone)]
pub struct SymbolSnapshot {
    /// Name of the symbol.
    pub symbol: Symbol,
    /// Sequence number of the last entry that the snapshot includes.
    pub as_of: Seq,
    /// Position of the last change of the symbol.
    pub updated_at: Position,
    /// Newest tick of the symbol. `None` if the symbol was removed.
    pub frame: Option<Frame>,
    /// Remaining state of the symbol.
    pub quote: Quote,
    /// Candles of the symbol's prices.
    pub candles: Candles,
}

impl SymbolSnapshot {
    /// Returns the time since which the symbol is removed, or `None` if it is not.
    #[must_use]
    pub const fn gone_since(&self) -> Option<Time> {
        match self.frame {
            None => Some(self.quote.time),
            Some(_) => None,
        }
    }

    /// Sets the times of the symbol back to those of its newest tick. Ticks that were not accepted,
    /// because their price was the same, have moved them on.
    pub fn forget_unchanged(&mut self) {
        let tick = self
            .frame
            .as_ref()
            .and_then(|frame| TickView::read(frame.json()));
        if let Some(tick) = tick {
            self.quote.time = tick.time;
            self.quote.order = self.quote.order.min(tick.time);
        }
    }
}

impl Quote {
    /// Returns the state after the first tick of a symbol.
    pub(crate) fn open(tick: &Tick, source: SourceId, when: TickTime) -> (Self, Derived) {
        let (price, time) = (tick.price, when.time);
        let reference = Reference::FirstOfDay {
            price,
            day: when.effective.utc_day(),
        };
        let (extras, change) = (tick.extras.clone(), (price, None));
        let mut quote = Self {
            n: 0,
            price,
            time,
            first_time: time,
            reference,
            source,
            order: when.order,
            listed: true,
            unshown: None,
            change,
            extras,
        };
        let derived = quote.advance(tick, source, when);
        (quote, derived)
    }

    /// Starts a new state after the symbol was removed. Only the number `n` continues.
    pub(crate) fn reopen(&mut self, tick: &Tick, when: TickTime) {
        self.reference = Reference::FirstOfDay {
            price: tick.price,
            day: when.effective.utc_day(),
        };
        (self.first_time, self.order) = (when.time, when.order);
    }

    /// Restores a state, for example from an earlier run. `extras` is the text from the JSON of the
    /// newest tick.
    #[must_use]
    pub fn restored(
        (n, price): (u64, Price),
        (first_time, time): (Time, Time),
        reference: Reference,
        extras: &[u8],
        newest: Option<&Frame>,
    ) -> Self {
        let (extras, source) = (Extras::read_back(extras), SourceId::UNKNOWN);
        let amounts = newest.and_then(|frame| TickView::read(frame.json())?.amounts());
        let change = amounts.map_or((price, None), |(_, change, percent)| (change, percent));
        Self {
            n,
            price,
            time,
            first_time,
            reference,
            source,
            order: time,
            listed: newest.is_some(),
            unshown: None,
            change,
            extras,
        }
    }

    /// Returns the extras of the newest tick, as the tail of a JSON object.
    #[must_use]
    pub fn extras(&self) -> &[u8] {
        self.extras.as_json()
    }

    /// Returns the state after replaying a tick that was accepted before. `view` is the tick as
    /// sent to readers. Returns `None` if `view` contains no valid price or change.
    pub(crate) fn reapply(
        current: Option<Self>,
        view: &TickView<'_>,
        prev_close: Option<Price>,
        (bounds, listed): (ClockBounds, bool),
    ) -> Option<Self> {
        let (price, change, percent) = view.amounts()?;
        let when = TickTime::new(view.time, bounds);
        let first = Reference::FirstOfDay {
            price,
            day: when.effective.utc_day(),
        };
        let mut quote = current.unwrap_or_else(|| {
            Self::restored((0, price), (view.time, view.time), first, &[], None)
        });
        if !listed {
            (quote.reference, quote.first_time, quote.order) = (first, view.time, when.order);
        }
        (quote.n, quote.price, quote.listed) = (view.n, price, true);
        quote.advance_order(when);
        quote.change = (change, percent);
        quote.extras = Extras::read_back(view.extras);
        quote.reference = quote.reference.after(price, prev_close, when);
        Some(quote)
    }

    /// Applies a tick and returns the derived fields that readers receive.
    pub(crate) fn advance(&mut self, tick: &Tick, source: SourceId, when: TickTime) -> Derived {
        self.n += 1;
        (self.price, self.listed) = (tick.price, true);
        self.advance_order(when);
        self.source = source;
        self.extras.clone_from(&tick.extras);
        self.reference = self.reference.after(tick.price, tick.prev_close, when);
        self.change = change(tick, self.reference);
        let (change, change_pct) = self.change;
        Derived {
            change,
            change_pct,
            time: when.time,
            n: self.n,
        }
    }

    /// Sets the time of the newest tick, and the time for the lateness check.
    fn advance_order(&mut self, when: TickTime) {
        let known = self
            .newest(when.horizon)
            .filter(|_| when.time > when.horizon);
        self.time = when.time;
        self.order = when.order.max(known.unwrap_or_default());
    }

    /// Returns the time for the lateness check. Returns `None` if this time is after the horizon:
    /// the clock was set back, and the time means nothing.
    pub(crate) fn newest(&self, horizon: Time) -> Option<Time> {
        Some(self.order).filter(|newest| *newest <= horizon)
    }

    /// Records the time of an unchanged tick.
    pub(crate) fn keep_time(&mut self, when: TickTime) {
        let known = self.newest(when.horizon);
        self.time = known.map_or(when.time, |_| self.time.max(when.time));
        self.order = when.order.max(known.unwrap_or_default());
    }

    /// Checks whether `tick` changes nothing except the time. The first tick of a day always counts
    /// as a change, because it sets the reference.
    pub(crate) fn is_unchanged(&self, tick: &Tick, when: TickTime) -> bool {
        let reference = self.reference.after(tick.price, tick.prev_close, when);
        let same_day = match (reference, self.reference) {
            (Reference::FirstOfDay { day, .. }, Reference::FirstOfDay { day: known, .. }) => {
                day == known
            }
            (Reference::PrevClose(close), known) => close == known.price(),
            (Reference::FirstOfDay { .. }, Reference::PrevClose(_)) => false,
        };
        let (last_change, last_percent) = self.change;
        let (change, percent) = change(tick, reference);
        same_day
            && tick.price.is_written_like(self.price)
            && tick.extras == self.extras
            && change.is_written_like(last_change)
            && percent == last_percent
    }
}

/// Returns the change, and the change in percent of its reference price. If the publisher sends a
/// change without a previous close, the reference price is price − change.
fn change(tick: &Tick, reference: Reference) -> (Price, Option<Price>) {
    let (change, base) = match (tick.change, tick.prev_close) {
        (Some(change), Some(close)) => (change, close),
        (Some(change), None) => (change, tick.price.minus(change)),
        (None, _) => {
            let base = reference.price();
            (tick.price.minus(base), base)
        }
    };
    (change, change.percent_of(base))
}
