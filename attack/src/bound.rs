//! The maximum memory of a server under attack: the formula of SECURITY.md, term by term and with
//! the names of SECURITY.md, for the server's default limits.
//!
//! An attack must stay below the limits, so three terms are smaller here than in SECURITY.md:
//!
//! - "filters" and "answers" are a quarter of their limits.
//! - "unread bytes" is one payload for each connection, instead of the limit of all streams
//!   together.
//! - "candles" and "bodies" are zero, because the attacks publish for too short a time to close
//!   many candles, and the attacks send almost nothing of a long body.

/// The program itself, its threads, and the reserve of its allocator.
const PROGRAM_BYTES: u64 = 40 << 20;

/// "symbols": the newest tick of a symbol with all extras, and its name in the log and in two
/// lanes.
const SYMBOL_BYTES: u64 = 4 << 10;

/// "tape-bytes × 1.5", for the default of `--tape-bytes`. The half is the new ticks for streams
/// with the same filter (batches).
const TAPE_BYTES: u64 = (64 << 20) * 3 / 2;

/// "tape-ticks × 168 B", for the default of `--tape-ticks`.
const TAPE_TICKS_BYTES: u64 = 262_144 * 168;

/// "filters": a quarter of the limit, 256 MiB.
const FILTER_BYTES: u64 = 64 << 20;

/// "answers": a quarter of the limits, 192 MiB for snapshots of the market and 64 MiB for written
/// parts.
const ANSWER_BYTES: u64 = 64 << 20;

/// "unread bytes" of a connection: a part of an answer, or a payload of a stream.
const UNREAD_BYTES: u64 = 64 << 10;

/// "connections": the fixed memory of a connection.
const CONNECTION_BYTES: u64 = 8 << 10;

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
    PROGRAM_BYTES
        + load.symbols * SYMBOL_BYTES
        + TAPE_BYTES
        + TAPE_TICKS_BYTES
        + FILTER_BYTES
        + ANSWER_BYTES
        + load.connections * (UNREAD_BYTES + CONNECTION_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_sum_of_its_terms() {
        let mib = 1 << 20;
        let fixed = (40 + 96 + 42 + 64 + 64) * mib;
        assert_eq!(
            memory_bound(Load {
                symbols: 0,
                connections: 0
            }),
            fixed
        );
        assert_eq!(
            memory_bound(Load {
                symbols: 256,
                connections: 0
            }),
            fixed + mib
        );
        assert_eq!(
            memory_bound(Load {
                symbols: 0,
                connections: 1024
            }),
            fixed + 72 * mib
        );
    }
}
