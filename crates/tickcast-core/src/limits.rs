//! Limits of a sequencer, and options of a source.

use std::time::Duration;

/// Limits of what a sequencer holds.
#[derive(Debug, Clone, Copy)]
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

impl Default for Limits {
    fn default() -> Self {
        let max_skew = Duration::from_secs(5);
        Self { symbols: 100_000, tape_ticks: 262_144, tape_bytes: 64 << 20, candles: 1_000_000, max_skew }
    }
}

/// Options for the ticks of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Default for SourceOptions {
    fn default() -> Self {
        Self { allow_late: false, drop_unchanged: false, max_ahead: Duration::from_secs(60) }
    }
}
