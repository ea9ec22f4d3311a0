//! The most memory that a server may take, whatever is done to it: the formula of SECURITY.md.

/// The program itself, its threads and its allocator's reserves.
const BASE: u64 = 48 << 20;

/// A symbol without extras: its place in the market, in each lane's replica of it, its reference and its candles' tables.
const PER_SYMBOL: u64 = 3 << 10;

/// How often the newest tick of a symbol may be in memory: encoded for streams, for answers, and once more while it is replaced.
const COPIES: u64 = 3;

/// What the tape in memory holds at most (`--tape-bytes`), and its index (`--tape-ticks`, each lane's included).
const TAPE: u64 = (64 << 20) + 262_144 * 64;

/// A connection: what is read of its request, and the rest of the shared piece that it is in the middle of.
const PER_CONNECTION: u64 = 96 << 10;

/// Exports, history and wide answers under way.
const ANSWERS: u64 = 64 << 20;

/// Patterns, and what they select.
const FILTERS: u64 = 64 << 20;

/// Requests' bodies, and batches that are being taken.
const BODIES: u64 = 32 << 20;

/// What a server has to bear.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Symbols on the market.
    pub symbols: u64,
    /// Bytes of extras that each has.
    pub extras: u64,
    /// Connections, whatever they are for.
    pub connections: u64,
}

/// The most resident memory that this may take, in bytes.
#[must_use]
pub const fn memory_bound(load: Load) -> u64 {
    let market = load.symbols * (PER_SYMBOL + COPIES * load.extras);
    BASE + market + TAPE + load.connections * PER_CONNECTION + ANSWERS + FILTERS + BODIES
}
