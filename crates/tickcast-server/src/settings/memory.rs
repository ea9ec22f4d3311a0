//! The memory budget, and limits for small memory. The default limits are chosen so that all of
//! them together fit into the budget.

use tickcast::Limits;

use super::control_group::ControlGroup;

/// Memory size below which the default limits are reduced.
const AMPLE: u64 = 4 << 30;

/// Maximum number of bytes per symbol: the newest tick with all extras, and the symbol's name in
/// the log and in two lanes.
pub(super) const SYMBOL_BYTES: u64 = 4096;

/// Number of bytes of a tape entry in addition to its tick. All lanes share the entries.
pub(super) const ENTRY_BYTES: u64 = 64;

/// Number of bytes of a closed candle.
pub(super) const CANDLE_BYTES: u64 = 88;

/// Estimated number of bytes per connection: the fixed memory, and the same amount again for bytes
/// that the client has not read yet.
const CONNECTION_BYTES: u64 = 16 << 10;

/// The memory that the server may use.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    /// Maximum number of bytes.
    pub(crate) bytes: u64,
    /// The control group whose limit the budget is.
    pub(crate) group: Option<ControlGroup>,
}

impl MemoryBudget {
    /// Returns the budget: `wanted`, or less if a control group has a lower limit. Without a wish,
    /// it is the limit of the control group, or else the memory of the machine.
    pub(super) fn new(
        wanted: Option<u64>,
        group: Option<ControlGroup>,
        machine: Option<u64>,
    ) -> Self {
        let most = wanted.or(machine).unwrap_or(AMPLE);
        let group = group.filter(|group| group.limit <= most);
        let bytes = group.as_ref().map_or(most, |group| group.limit);
        Self { bytes, group }
    }
}

/// Returns the memory of the machine, from `/proc/meminfo`.
pub(super) fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Returns the limits that fit into `available` bytes. Symbols get a quarter, and the entries of
/// the tape get a twentieth. The ticks on the tape and the candles get a tenth each. The rest is
/// for connections, filters and the program itself.
pub(super) fn fitting(available: u64) -> Limits {
    let standard = Limits::default();
    if !is_scarce(available) {
        return standard;
    }
    let at_most = |usual: usize, bytes: u64, each: u64| {
        usize::try_from(bytes / each).map_or(usual, |fitting| fitting.clamp(1, usual))
    };
    standard
        .symbols(at_most(standard.symbols, available / 4, SYMBOL_BYTES))
        .tape_bytes(at_most(standard.tape_bytes, available / 10, 1))
        .tape_ticks(at_most(standard.tape_ticks, available / 20, ENTRY_BYTES))
        .candles(at_most(standard.candles, available / 10, CANDLE_BYTES))
}

/// Checks whether the default limits must be reduced.
const fn is_scarce(available: u64) -> bool {
    available < AMPLE
}

/// Returns the number of connections that fit into an eighth of the memory.
pub(super) fn connections(available: u64) -> usize {
    usize::try_from(available / 8 / CONNECTION_BYTES)
        .unwrap_or(usize::MAX)
        .max(1)
}

/// Returns the maximum number of bytes for each of two uses: all answers in progress, and the bytes
/// that all streams hold for clients that have not read them yet.
pub(super) fn shared_bytes(available: u64) -> usize {
    usize::try_from(available / 16)
        .unwrap_or(usize::MAX)
        .min(256 << 20)
}

/// Returns the maximum number of bytes of all filters in use. A filter of ten names takes about 2 KB,
/// so there is one for each of the connections that fit.
pub(super) fn filter_bytes(available: u64) -> usize {
    usize::try_from(available / 8)
        .unwrap_or(usize::MAX)
        .min(256 << 20)
}

/// Returns the memory for the send buffers of all streams.
pub(super) fn send_buffers(available: u64) -> usize {
    usize::try_from(available / 4).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_limits_fit_into_half_of_the_memory() {
        for available in [64 << 20, 200 << 20, 1 << 30, AMPLE, 64 << 30] {
            let limits = fitting(available);
            let kept = limits.symbols as u64 * SYMBOL_BYTES
                + limits.tape_bytes as u64
                + limits.tape_ticks as u64 * ENTRY_BYTES
                + limits.candles as u64 * CANDLE_BYTES;
            assert!(kept <= available / 2, "{available}: {kept}");
            assert!(shared_bytes(available) as u64 <= available / 16);
        }
        let usual = fitting(AMPLE);
        assert_eq!((usual.symbols, usual.candles), (100_000, 1_000_000));
        assert_eq!(
            (fitting(200 << 20).symbols, connections(200 << 20)),
            (12_800, 1600)
        );
    }

    #[test]
    fn the_memory_of_the_system_is_read() {
        assert_eq!(
            total("MemTotal:       24567890 kB\nMemFree: 1 kB\n"),
            Some(24_567_890 * 1024)
        );
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn the_lowest_limit_is_the_budget() {
        let bytes = |wanted, machine| MemoryBudget::new(wanted, None, machine).bytes;
        assert_eq!(bytes(None, None), AMPLE);
        assert_eq!(bytes(None, Some(7)), 7);
        assert_eq!(bytes(Some(9), Some(7)), 9);
    }
}
