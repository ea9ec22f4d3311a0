//! Limits of a sequencer, and options of a source.

use std::time::Duration;

/// Limits of what a hub holds in memory. Pass it to `tickcast::HubBuilder::limits`. In the core, a
/// `Sequencer` has the limits.
///
/// ```
/// # use tickcast_core::Limits;
/// let limits = Limits::default().symbols(500).tape_ticks(10_000);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of symbols, including removed symbols. Default 100,000, so that a flood of
    /// invented names cannot fill the memory. A tick of one more symbol is rejected with
    /// [`TickError::TooManySymbols`](crate::TickError::TooManySymbols).
    pub symbols: usize,
    /// Maximum number of ticks on the tape. Default 262,144: about 20 minutes at 200 ticks/s, 2.6 s
    /// at 100,000 ticks/s.
    pub tape_ticks: usize,
    /// Maximum number of bytes of ticks on the tape. Default 64 MiB.
    pub tape_bytes: usize,
    /// Maximum number of closed candles of all symbols together; each symbol gets the same number.
    /// Default 1,000,000, about 88 MB. If the limit is too small, the shortest interval loses
    /// candles first. At least one candle of each interval always stays.
    pub candles: usize,
    /// Maximum time by which a tick's time may be ahead of now and still be believed. For reference
    /// and candles, a later time counts as now; for lateness, it counts as `max_skew` before now.
    /// Readers receive the time unchanged. Default 5 s, because synchronized clocks differ by less.
    pub max_skew: Duration,
}

/// Room for so many symbols is reserved at the start, unless the market may have fewer. A list that
/// grows is copied, while publishers wait, and leaves memory behind, in each lane. The system counts
/// reserved memory only when it is used.
const MAX_RESERVED_SYMBOLS: usize = 1 << 17;

impl Limits {
    /// Returns the number of symbols for which room is reserved.
    pub(crate) fn reserved_symbols(&self) -> usize {
        self.symbols.min(MAX_RESERVED_SYMBOLS)
    }

    /// The defaults, as a constant: 100,000 symbols, 262,144 ticks or 64 MiB on the tape, 1,000,000
    /// candles, 5 s.
    pub const DEFAULT: Self = Self {
        symbols: 100_000,
        tape_ticks: 262_144,
        tape_bytes: 64 << 20,
        candles: 1_000_000,
        max_skew: Duration::from_secs(5),
    };

    /// Sets the maximum number of symbols. Default: 100,000.
    #[must_use]
    pub const fn symbols(mut self, symbols: usize) -> Self {
        self.symbols = symbols;
        self
    }

    /// Sets the maximum number of ticks on the tape. Default: 262,144.
    #[must_use]
    pub const fn tape_ticks(mut self, ticks: usize) -> Self {
        self.tape_ticks = ticks;
        self
    }

    /// Sets the maximum number of bytes of ticks on the tape. Default: 64 MiB. A tick that brings a
    /// new previous close needs about 64 bytes more.
    #[must_use]
    pub const fn tape_bytes(mut self, bytes: usize) -> Self {
        self.tape_bytes = bytes;
        self
    }

    /// Sets the maximum number of closed candles of all symbols together. Default: 1,000,000.
    #[must_use]
    pub const fn candles(mut self, candles: usize) -> Self {
        self.candles = candles;
        self
    }

    /// Sets the maximum time by which a tick's time may be ahead of now and still be
    /// [believed](Self::max_skew). Default: 5 s.
    #[must_use]
    pub const fn max_skew(mut self, skew: Duration) -> Self {
        self.max_skew = skew;
        self
    }
}

impl Default for Limits {
    /// Returns [`Limits::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Options for the ticks of one source: which valid ticks are dropped. Pass it to
/// `tickcast::Hub::source`.
///
/// A dropped or rejected tick is counted in `tickcast::stats::SourceStats`. Publishing returns
/// [`Outcome::Late`](crate::Outcome::Late), [`Outcome::Unchanged`](crate::Outcome::Unchanged) or an
/// error for it.
///
/// ```
/// # use std::time::Duration;
/// # use tickcast_core::SourceOptions;
/// let options = SourceOptions::default().drop_unchanged(true).max_ahead(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Whether to accept late ticks: ticks with an older time than the newest tick of their symbol.
    /// An equal time is not late. An accepted late tick becomes the newest tick of its symbol,
    /// although its time is older. Default: false, late ticks are dropped.
    pub allow_late: bool,
    /// Whether to drop unchanged ticks: ticks with the same price, change and extras as the newest
    /// tick of their symbol. Only the newer time of an unchanged tick is recorded. Default: false,
    /// unchanged ticks are accepted.
    pub drop_unchanged: bool,
    /// Maximum time by which a tick's time may be ahead of the server's clock. A tick further in
    /// the future is rejected with [`TickError::TimeInFuture`](crate::TickError::TimeInFuture).
    /// Default: one minute. Clocks that differ by more are wrong, and so is a time in another time
    /// zone or unit.
    pub max_ahead: Duration,
}

impl SourceOptions {
    /// Sets whether to accept [late ticks](Self::allow_late). Default: false.
    #[must_use]
    pub const fn allow_late(mut self, allow: bool) -> Self {
        self.allow_late = allow;
        self
    }

    /// Sets whether to drop [unchanged ticks](Self::drop_unchanged). Default: false.
    #[must_use]
    pub const fn drop_unchanged(mut self, drop: bool) -> Self {
        self.drop_unchanged = drop;
        self
    }

    /// Sets the maximum time by which a tick's time may be [ahead](Self::max_ahead) of the server's
    /// clock. Default: one minute.
    #[must_use]
    pub const fn max_ahead(mut self, ahead: Duration) -> Self {
        self.max_ahead = ahead;
        self
    }
}

impl Default for SourceOptions {
    /// Returns the defaults: late ticks are dropped, unchanged ticks are accepted, at most one
    /// minute ahead.
    fn default() -> Self {
        Self {
            allow_late: false,
            drop_unchanged: false,
            max_ahead: Duration::from_secs(60),
        }
    }
}
