//! The available memory, and limits for small memory. The default limits are chosen so that all of
//! them together fit into memory.

use tickcast::Limits;

/// Memory size below which the default limits are reduced.
const AMPLE: u64 = 4 << 30;

/// Maximum number of bytes per symbol: the newest tick with all extras, and the symbol's name in
/// the log and in two lanes.
pub(crate) const SYMBOL_BYTES: u64 = 4096;

/// Number of bytes of a tape entry in addition to its tick, in the log and in two lanes.
pub(crate) const ENTRY_BYTES: u64 = 3 * 56;

/// Number of bytes of a closed candle.
pub(crate) const CANDLE_BYTES: u64 = 88;

/// Estimated number of bytes per connection: the fixed memory, and the same amount again for bytes
/// that the client has not read yet.
const CONNECTION_BYTES: u64 = 16 << 10;

/// Returns the memory that this process may use: the machine's memory, or less if a control group
/// has a limit.
pub(crate) fn available() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total(&text));
    let group = std::fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| group_limit(&text));
    [machine, group]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(AMPLE)
}

/// Returns the memory of the machine, from `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Returns the lowest limit of the control groups of this process.
fn group_limit(cgroup: &str) -> Option<u64> {
    let read = |path: String| {
        std::fs::read_to_string(path)
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limits = cgroup.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            // Version 2 of control groups has one tree, and the limits of all parent groups apply
            // as well.
            ("", path) => {
                let levels = std::path::Path::new(path).ancestors();
                levels
                    .filter_map(|level| {
                        read(format!("/sys/fs/cgroup{}/memory.max", level.display()))
                    })
                    .min()
            }
            ("memory", path) => read(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
            _ => None,
        }
    });
    limits.min()
}

/// Returns the limits that fit into `available` bytes. Symbols get a quarter, and the entries of
/// the tape get a twentieth. The ticks on the tape and the candles get a tenth each. The rest is
/// for connections, filters and the program itself.
pub(crate) fn fitting(available: u64) -> Limits {
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
pub(crate) fn connections(available: u64) -> usize {
    usize::try_from(available / 8 / CONNECTION_BYTES)
        .unwrap_or(usize::MAX)
        .max(1)
}

/// Returns the maximum number of bytes for each of three uses. All filters in use are the first
/// use, and all answers in progress are the second. The third use is the bytes that all streams
/// hold for clients that have not read them yet.
pub(crate) fn shared_bytes(available: u64) -> usize {
    usize::try_from(available / 16)
        .unwrap_or(usize::MAX)
        .min(256 << 20)
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
        assert_eq!(group_limit("0::/no/such/group\n"), None);
        assert!(available() > 0);
    }
}
