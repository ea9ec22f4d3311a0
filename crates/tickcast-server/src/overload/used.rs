//! What the process uses, as Linux tells it. On other systems nothing is known, and nothing counts.

use crate::settings::MemoryBudget;

/// Returns the memory in use, in bytes: that of the control group if its limit is the budget,
/// otherwise the memory of this process and the socket buffers of the machine. The system does not
/// say which buffers belong to whom.
pub(super) fn memory(budget: &MemoryBudget) -> Option<u64> {
    match &budget.group {
        Some(group) => group.used(),
        None => Some(process_memory()? + socket_memory().unwrap_or_default()),
    }
}

/// Returns the memory of this process that no file backs.
fn process_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kib_of(&status, "RssAnon:").map(|kib| kib * 1024)
}

fn kib_of(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Returns the memory of all TCP sockets.
fn socket_memory() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/net/sockstat").ok()?;
    Some(pages_of(&stat)? * rustix::param::page_size() as u64)
}

/// Returns the number of pages that all TCP sockets take.
fn pages_of(sockstat: &str) -> Option<u64> {
    let line = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let (_, pages) = line.split_once(" mem ")?;
    pages.split_whitespace().next()?.parse().ok()
}

/// Returns how many more descriptors the process may open. Linux tells the number of open ones
/// since 6.2; before, as the size of the folder is 0, nothing counts.
pub(super) fn free_descriptors() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let open = std::fs::metadata("/proc/self/fd").ok()?.len();
    (open > 0).then(|| limit.saturating_sub(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_system_are_read() {
        let stat = "sockets: used 409\nTCP: inuse 57 orphan 0 tw 12736 alloc 61 mem 33\nUDP: inuse 0 mem 0\n";
        assert_eq!(pages_of(stat), Some(33));
        assert_eq!(pages_of("TCP: inuse"), None);
        assert_eq!(
            kib_of("VmRSS:\t 10 kB\nRssAnon:\t  7 kB\n", "RssAnon:"),
            Some(7)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        assert!(process_memory().is_some_and(|bytes| bytes > 0));
        assert!(socket_memory().is_some());
        assert!(free_descriptors().is_none_or(|free| free > 0));
    }
}
