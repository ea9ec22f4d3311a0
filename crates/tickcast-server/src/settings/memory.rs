//! How much memory there is, and what is kept where that is little: the limits that are not set are such that all of them together
//! fit.

use tickcast::Limits;

/// Below this, limits that are not set are smaller than their usual defaults.
const AMPLE: u64 = 4 << 30;

/// What a symbol takes at most: its newest tick with all its extras, its name in the log and in two lanes.
pub(crate) const SYMBOL_BYTES: u64 = 4096;

/// What an entry of the tape takes beside its tick, in the log and in two lanes.
pub(crate) const ENTRY_BYTES: u64 = 3 * 56;

/// What a closed candle takes.
pub(crate) const CANDLE_BYTES: u64 = 88;

/// What a connection is reckoned to take: what it has always, and as much again of what its reader has yet to take.
const CONNECTION_BYTES: u64 = 16 << 10;

/// The memory that this process may use: that of the machine, or less where a control group says so.
pub(crate) fn available() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group_limit(&text));
    [machine, group].into_iter().flatten().min().unwrap_or(AMPLE)
}

/// The machine's, from `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The least limit of the control groups that the process is in.
fn group_limit(cgroup: &str) -> Option<u64> {
    let read = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limits = cgroup.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            // The second version has one tree; each group above counts as well.
            ("", path) => {
                let levels = std::path::Path::new(path).ancestors();
                levels.filter_map(|level| read(format!("/sys/fs/cgroup{}/memory.max", level.display()))).min()
            }
            ("memory", path) => read(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
            _ => None,
        }
    });
    limits.min()
}

/// The limits that fit into so much memory: a quarter for symbols, a tenth each for the ticks on the tape and for candles, a
/// twentieth for the tape's entries. The rest is for connections, filters and the program itself.
pub(crate) fn fitting(available: u64) -> Limits {
    let standard = Limits::default();
    if !is_scarce(available) {
        return standard;
    }
    let at_most = |usual: usize, bytes: u64, each: u64| {
        usize::try_from(bytes / each).map_or(usual, |fitting| fitting.clamp(1, usual))
    };
    Limits {
        symbols: at_most(standard.symbols, available / 4, SYMBOL_BYTES),
        tape_bytes: at_most(standard.tape_bytes, available / 10, 1),
        tape_ticks: at_most(standard.tape_ticks, available / 20, ENTRY_BYTES),
        candles: at_most(standard.candles, available / 10, CANDLE_BYTES),
        ..standard
    }
}

/// Whether limits that are not set are smaller than their usual defaults.
const fn is_scarce(available: u64) -> bool {
    available < AMPLE
}

/// How many connections an eighth of so much memory is enough for.
pub(crate) fn connections(available: u64) -> usize {
    usize::try_from(available / 8 / CONNECTION_BYTES).unwrap_or(usize::MAX).max(1)
}

/// How many bytes all filters in use may take, how many all answers under way may hold, and how many all streams keep that their
/// readers have yet to take.
pub(crate) fn shared_bytes(available: u64) -> usize {
    usize::try_from(available / 16).unwrap_or(usize::MAX).min(256 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_fits_into_half_of_what_there_is() {
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
        assert_eq!((fitting(200 << 20).symbols, connections(200 << 20)), (12_800, 1600));
    }

    #[test]
    fn what_the_system_says_of_it() {
        assert_eq!(total("MemTotal:       24567890 kB\nMemFree: 1 kB\n"), Some(24_567_890 * 1024));
        assert_eq!(total("nothing"), None);
        assert_eq!(group_limit("0::/no/such/group\n"), None);
        assert!(available() > 0);
    }
}
