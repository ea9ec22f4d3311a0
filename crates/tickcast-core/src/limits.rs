//! Limits of a sequencer, and options of a source.

use std::time::Duration;

/// Limits of what a sequencer holds.
///
/// ```
/// # use tickcast_core::Limits;
/// let limits = Limits::default().symbols(500).tape_ticks(10_000);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of symbols. Default 100,000, so that a flood of invented names cannot fill the memory.
    pub symbols: usize,
    /// Maximum number of ticks on the tape. Default 262,144: about 20 minutes at 200 ticks/s, 2.6 s at
    /// 100,000 ticks/s.
    pub tape_ticks: usize,
    /// Maximum number of bytes of ticks on the tape. Default 64 MiB.
    pub tape_bytes: usize,
    /// Maximum number of closed candles of all symbols together; each symbol gets the same number. Default
    /// 1,000,000, about 80 MB. If the limit is too small, the shortest interval loses candles first. At least
    /// one candle of each interval always stays.
    pub candles: usize,
    /// Maximum time by which a tick's time may be ahead of now and still count for lateness, reference and
    /// candles. Default 5 s, because synchronized clocks differ by less.
    pub max_skew: Duration,
}

impl Limits {
    /// The defaults, as a constant.
    pub const DEFAULT: Self = Self {
        symbols: 100_000,
        tape_ticks: 262_144,
        tape_bytes: 64 << 20,
        candles: 1_000_000,
        max_skew: Duration::from_secs(5),
    };

    /// Sets the maximum number of symbols.
    #[must_use]
    pub const fn symbols(mut self, symbols: usize) -> Self {
        self.symbols = symbols;
        self
    }

    /// Sets the maximum number of ticks on the tape.
    #[must_use]
    pub const fn tape_ticks(mut self, ticks: usize) -> Self {
        self.tape_ticks = ticks;
        self
    }

    /// Sets the maximum number of bytes of ticks on the tape.
    #[must_use]
    pub const fn tape_bytes(mut self, bytes: usize) -> Self {
        self.tape_bytes = bytes;
        self
    }

    /// Sets the maximum number of closed candles of all symbols together.
    #[must_use]
    pub const fn candles(mut self, candles: usize) -> Self {
        self.candles = candles;
        self
    }

    /// Sets the maximum time by which a tick's time may be ahead of now and still count for lateness,
    /// reference and candles.
    #[must_use]
    pub const fn max_skew(mut self, skew: Duration) -> Self {
        self.max_skew = skew;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Options for the ticks of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Whether to accept ticks that are older than the newest tick of their symbol. Default: late ticks are
    /// dropped.
    pub allow_late: bool,
    /// Whether to drop unchanged ticks: ticks with the same price and extras as the newest tick of their
    /// symbol. Only the newer time of an unchanged tick is recorded. Default: unchanged ticks are accepted.
    pub drop_unchanged: bool,
    /// Maximum time by which a tick's time may be ahead of now; a later tick is rejected. Default: one
    /// minute, because clocks, time zones and above all units are often wrong.
    pub max_ahead: Duration,
}

impl SourceOptions {
    /// Sets whether to accept ticks that are older than the newest tick of their symbol.
    #[must_use]
    pub const fn allow_late(mut self, allow: bool) -> Self {
        self.allow_late = allow;
        self
    }

    /// Sets whether to drop unchanged ticks.
    #[must_use]
    pub const fn drop_unchanged(mut self, drop: bool) -> Self {
        self.drop_unchanged = drop;
        self
    }

    /// Sets the maximum time by which a tick's time may be ahead of now.
    #[must_use]
    pub const fn max_ahead(mut self, ahead: Duration) -> Self {
        self.max_ahead = ahead;
        self
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { allow_late: false, drop_unchanged: false, max_ahead: Duration::from_secs(60) }
    }
}
