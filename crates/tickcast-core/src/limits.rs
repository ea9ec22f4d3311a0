//! How much a sequencer keeps, and what it allows.

use std::time::Duration;

/// How much a sequencer keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most symbols. Default 100,000: a flood of made-up names ends here.
    pub symbols: usize,
    /// Most ticks on the tape. Default 262,144: some 20 minutes at 200 ticks/s, 2.6 s at 100,000.
    pub tape_ticks: usize,
    /// Most bytes of ticks on the tape. Default 64 MiB.
    pub tape_bytes: usize,
    /// Most closed candles of all symbols together, the same number for each symbol. Default 1,000,000, some 80 MB. Where that is
    /// not enough the shortest interval gives way first; one of each interval is always kept.
    pub candles: usize,
    /// How far ahead of now a tick's time counts at most, for lateness, reference and candles. Default 5 s: clocks that are
    /// kept in order differ by less.
    pub max_skew: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let max_skew = Duration::from_secs(5);
        Self { symbols: 100_000, tape_ticks: 262_144, tape_bytes: 64 << 20, candles: 1_000_000, max_skew }
    }
}

/// What a source's ticks are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceOptions {
    /// Take ticks older than their symbol's newest, too. Default: they are dropped as late.
    pub allow_late: bool,
    /// Drop ticks that repeat their symbol's price and extras; only their newer time is kept. Default: they count.
    pub drop_unchanged: bool,
    /// How far ahead of now a tick's time may be; beyond, it is refused. Default: one minute, since clocks and time zones go wrong,
    /// units more so.
    pub max_ahead: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { allow_late: false, drop_unchanged: false, max_ahead: Duration::from_secs(60) }
    }
}
