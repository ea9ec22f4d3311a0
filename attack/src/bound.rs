//! The most memory that a server may take, whatever is done to it: the formula of SECURITY.md, with the limits that a server has
//! unless it is told others. Of what filters and answers may take together, an attack is allowed a quarter.

/// The program itself, its threads and its allocator's reserves.
const BASE: u64 = 40 << 20;

/// A symbol: its newest tick with all extras, and its name in the log and in two lanes.
const PER_SYMBOL: u64 = 4 << 10;

/// What the tape in memory holds at most: `--tape-bytes` and half of that for batches, and `--tape-ticks` of 168 bytes each.
const TAPE: u64 = (96 << 20) + 262_144 * 168;

/// A connection, and what it keeps: a piece of an answer, or the rest of a batch that it is in the middle of.
const PER_CONNECTION: u64 = (8 << 10) + (64 << 10);

/// Filters of all readers.
const FILTERS: u64 = 64 << 20;

/// The market as it stood, held by answers under way.
const ANSWERS: u64 = 64 << 20;

/// What a server has to bear.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Symbols on the market.
    pub symbols: u64,
    /// Connections, whatever they are for.
    pub connections: u64,
}

/// The most resident memory that this may take, in bytes.
#[must_use]
pub const fn memory_bound(load: Load) -> u64 {
    BASE + load.symbols * PER_SYMBOL + TAPE + FILTERS + ANSWERS + load.connections * PER_CONNECTION
}
