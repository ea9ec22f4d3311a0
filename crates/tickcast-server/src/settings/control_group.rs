//! The memory limit of the control groups that this process is in (Linux).

use std::path::{Path, PathBuf};

/// A control group with a limit on its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlGroup {
    folder: PathBuf,
    pub(crate) limit: u64,
    is_v1: bool,
}

impl ControlGroup {
    /// Returns the group of this process with the lowest limit, if there is a limit.
    pub(crate) fn of_this_process() -> Option<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::lowest(&groups, Path::new("/sys/fs/cgroup"))
    }

    /// Returns the group with the lowest limit: one of the groups in `/proc/self/cgroup`, or one of
    /// their parents, whose limits apply as well. `root` is the folder of all groups.
    fn lowest(groups: &str, root: &Path) -> Option<Self> {
        let found = groups.lines().flat_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (root, is_v1) = match parts.next() {
                Some("") => (root.to_owned(), false),
                Some("memory") => (root.join("memory"), true),
                _ => return Vec::new(),
            };
            // In a container, the path is that outside of it, and only the root exists.
            let path = parts.next().unwrap_or_default().trim_start_matches('/');
            let levels = Path::new(path).ancestors().map(|level| root.join(level));
            levels
                .filter_map(|folder| Self::read(folder, is_v1))
                .collect()
        });
        found.min_by_key(|group| group.limit)
    }

    fn read(folder: PathBuf, is_v1: bool) -> Option<Self> {
        let name = if is_v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        };
        let limit = number(&folder.join(name))?;
        Some(Self {
            folder,
            limit,
            is_v1,
        })
    }

    /// Returns the memory that the group uses, sockets included, and without the caches that the
    /// system can take away at any time. What is still to be written to the disk cannot be taken.
    pub(crate) fn used(&self) -> Option<u64> {
        let (usage, total) = match self.is_v1 {
            true => ("memory.usage_in_bytes", "total_"),
            false => ("memory.current", ""),
        };
        // In version 1, sockets are counted apart.
        let sockets = self
            .is_v1
            .then(|| number(&self.folder.join("memory.kmem.tcp.usage_in_bytes")));
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        // Version 1 does not count the caches of the system itself (slab).
        let sum = |names: &[&str]| -> u64 {
            let lines = stat.lines().filter_map(|line| line.split_once(' '));
            let named = lines.filter(|(name, _)| {
                let name = name.strip_prefix(total);
                name.is_some_and(|name| names.contains(&name))
            });
            named
                .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
                .sum()
        };
        let caches = sum(&["inactive_file", "active_file", "slab_reclaimable"]);
        let unwritten = sum(&["dirty", "writeback", "file_dirty", "file_writeback"]);
        let used = number(&self.folder.join(usage))? + sockets.flatten().unwrap_or_default();
        Some(used.saturating_sub(caches.saturating_sub(unwritten)))
    }
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }

    #[test]
    fn the_lowest_limit_of_all_levels_counts() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("a/memory.max", "1000\n"),
                ("a/b/memory.max", "max\n"),
                ("a/memory.current", "700\n"),
                (
                    "a/memory.stat",
                    "anon 1\nactive_file 100\ninactive_file 120\nfile_dirty 30\nslab_reclaimable 10\n",
                ),
            ],
        );
        let group = ControlGroup::lowest("1:cpu:/x\n0::/a/b\n", root.path()).unwrap();
        assert_eq!((group.limit, group.used()), (1000, Some(500)));
        assert_eq!(ControlGroup::lowest("0::/other\n", root.path()), None);
        assert_eq!(ControlGroup::lowest("nonsense\n\n", root.path()), None);
    }

    #[test]
    fn version_1_counts_sockets_apart() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("memory/memory.limit_in_bytes", "5000"),
                ("memory/memory.usage_in_bytes", "900"),
                ("memory/memory.kmem.tcp.usage_in_bytes", "300"),
                (
                    "memory/memory.stat",
                    "inactive_file 7\ntotal_inactive_file 80\ntotal_active_file 30\ntotal_dirty 10\n",
                ),
            ],
        );
        let group = ControlGroup::lowest("4:memory:/docker/abc\n", root.path()).unwrap();
        assert_eq!((group.limit, group.used()), (5000, Some(1100)));
    }
}
