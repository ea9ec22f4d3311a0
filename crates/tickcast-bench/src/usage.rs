//! Resource usage of processes: processor time and memory, as the operating system counts them.

use std::time::Duration;

/// Unit of processor time in `/proc`. Linux has used 1/100 s for programs on every machine for
/// decades.
const TICKS_PER_SECOND: u64 = 100;

/// Size of a memory page in `statm`, on the machines where the benchmark runs.
const PAGE_BYTES: u64 = 4096;

/// Resources used by a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time since the start, user and system.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

/// Returns the usage of process `pid` and its children, or `None` if the system does not report the
/// usage.
pub(crate) fn of(pid: u32) -> Option<Usage> {
    let mut usage = one(pid)?.1;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some((parent, its)) = one(child)
            && parent == pid
        {
            usage.cpu += its.cpu;
            usage.resident += its.resident;
        }
    }
    Some(usage)
}

/// Returns the parent of a process and the usage of the process.
fn one(pid: u32) -> Option<(u32, Usage)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the process, in brackets, may contain any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let ticks = number(11)? + number(12)?;
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let cpu = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    Some((
        u32::try_from(number(1)?).ok()?,
        Usage {
            cpu,
            resident: pages * PAGE_BYTES,
        },
    ))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn this_process_uses_something() {
        let usage = super::of(std::process::id()).unwrap();
        assert!(usage.resident > 1 << 20);
        assert!(super::of(u32::MAX).is_none());
    }
}
