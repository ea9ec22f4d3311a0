//! The maximum memory of a server under attack: the formula of SECURITY.md with the server's default limits.
//! An attack may use a quarter of the total limit of filters and answers.

/// The program itself, its threads, and the reserve of its allocator.
const BASE: u64 = 40 << 20;

/// A symbol: its newest tick with all extras, and its name in the log and in two lanes.
const PER_SYMBOL: u64 = 4 << 10;

/// Maximum of the tape in memory: `--tape-bytes`, half of that for batches, and `--tape-ticks` of 168 bytes
/// each.
const TAPE: u64 = (96 << 20) + 262_144 * 168;

/// A connection and its buffered bytes: a part of an answer, or the unsent rest of a batch.
const PER_CONNECTION: u64 = (8 << 10) + (64 << 10);

/// The filters of all readers.
const FILTERS: u64 = 64 << 20;

/// Snapshots of the market that answers in progress hold.
const ANSWERS: u64 = 64 << 20;

/// The load of a server.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Number of symbols in the market.
    pub symbols: u64,
    /// Number of connections of any kind.
    pub connections: u64,
}

/// Returns the maximum resident memory of a server under this load, in bytes.
#[must_use]
pub const fn memory_bound(load: Load) -> u64 {
    BASE + load.symbols * PER_SYMBOL + TAPE + FILTERS + ANSWERS + load.connections * PER_CONNECTION
}
