//! Marks on disk, so that a delayed market goes on after a restart of the program. They are by the
//! clock of the machine: the times on the tape are by the wall clock, which may have been wrong.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tickcast_core::{Epoch, Seq, Time};

use super::marks::Mark;

/// The name of the file, in the folder of the tape.
const NAME: &str = "delayed.marks";

/// Number of marks within the longest delay, and shortest and longest time between two of them.
const MARKS: u32 = 256;
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The file, and the marks in it.
pub(super) struct MarkFile {
    path: PathBuf,
    /// The first line. It names the start of the machine, and the epoch: the marks count only for
    /// these.
    title: String,
    longest: Duration,
    interval: Duration,
    marks: VecDeque<Mark>,
    failing: bool,
}

impl MarkFile {
    /// Loads the file. There are no marks if it is not from this machine since its start, or not of
    /// this epoch. `now` is the mark of the head that was found on the tape: what an earlier
    /// run had beyond it is lost.
    pub(super) fn load(
        folder: &Path,
        boot: &str,
        epoch: Epoch,
        longest: Duration,
        now: Mark,
    ) -> Self {
        let mut file = Self {
            path: folder.join(NAME),
            title: format!("tickcast-marks 1 {boot} {epoch}"),
            longest,
            interval: (longest / MARKS).clamp(INTERVALS.0, INTERVALS.1),
            marks: VecDeque::new(),
            failing: false,
        };
        let text = fs::read_to_string(&file.path).unwrap_or_default();
        let earlier = file.parse(&text).unwrap_or_default();
        if earlier.last().is_none_or(|last| last.at <= now.at) {
            let lost = |mark: Mark| Mark {
                head: mark.head.min(now.head),
                ..mark
            };
            file.marks.extend(earlier.into_iter().map(lost));
        }
        file.add(now);
        file
    }

    /// Removes the file: without a delay, nobody keeps its marks.
    pub(super) fn remove(folder: &Path) {
        let _ = fs::remove_file(folder.join(NAME));
    }

    /// Returns the marks, the oldest first.
    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.marks.iter().copied()
    }

    /// Adds a mark and writes the file, if the last mark is long enough ago and of another head.
    pub(super) fn note(&mut self, mark: Mark) {
        let is_due = |last: &Mark| last.head != mark.head && mark.at >= last.at + self.interval;
        if self.marks.back().is_none_or(is_due) {
            self.add(mark);
        }
    }

    fn add(&mut self, mark: Mark) {
        self.marks.push_back(mark);
        let old = mark.at.saturating_sub(self.longest);
        while self.marks.get(1).is_some_and(|next| next.at <= old) {
            self.marks.pop_front();
        }
        let written = self.write();
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(path = %self.path.display(), %error, "the marks of delayed markets cannot be written: after a restart, their readers wait for the delay");
        }
        self.failing = written.is_err();
    }

    /// Replaces the file. After a crash of the machine, its marks do not count anyway, so nothing
    /// has to reach the disk at once.
    fn write(&self) -> io::Result<()> {
        let lines = self.marks.iter().map(|mark| {
            let (at, wall) = (mark.at.as_millis(), mark.wall.as_millis());
            format!("{at} {} {wall}\n", mark.head.get())
        });
        let text: String = std::iter::once(format!("{}\n", self.title))
            .chain(lines)
            .collect();
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }

    /// Reads the marks. Returns `None` if they do not count, or are not valid.
    fn parse(&self, text: &str) -> Option<Vec<Mark>> {
        let mut lines = text.lines();
        if lines.next()? != self.title {
            return None;
        }
        let marks = lines.map(|line| {
            let mut numbers = line.split(' ');
            // Rounded up, because a mark that is too early would show something too early.
            let at = Duration::from_millis(numbers.next()?.parse::<u64>().ok()?.checked_add(1)?);
            let head = Seq::new(numbers.next()?.parse().ok()?);
            let wall = Time::from_millis(numbers.next()?.parse().ok()?).ok()?;
            numbers.next().is_none().then(|| Mark::new(head, at, wall))
        });
        let marks: Vec<_> = marks.collect::<Option<_>>()?;
        let in_order = |pair: &[Mark]| pair[0].at <= pair[1].at && pair[0].head <= pair[1].head;
        marks.windows(2).all(in_order).then_some(marks)
    }
}

/// Returns the name of the current start of the machine, and the time since then. `None` if the
/// system does not tell.
pub(super) fn machine() -> Option<(String, Duration)> {
    #[cfg(target_os = "linux")]
    {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(since.tv_sec).ok()?;
        let since = Duration::new(seconds, u32::try_from(since.tv_nsec).ok()?);
        Some((boot.trim().to_owned(), since))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(600);

    fn mark(seconds: u64, head: u64) -> Mark {
        let wall = Time::from_millis(1_000_000 + seconds as i64).unwrap();
        Mark::new(Seq::new(head), Duration::from_secs(seconds), wall)
    }

    fn load(folder: &Path, boot: &str, now: Mark) -> MarkFile {
        MarkFile::load(folder, boot, Epoch::new(1), LONGEST, now)
    }

    fn heads(file: &MarkFile) -> Vec<(u64, u64)> {
        file.marks()
            .map(|mark| (mark.at.as_secs(), mark.head.get()))
            .collect()
    }

    #[test]
    fn the_marks_of_the_last_run_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = load(folder.path(), "boot", mark(1, 0));
        for (at, head) in [(2, 5), (3, 6), (100, 6), (500, 9), (700, 10)] {
            file.note(mark(at, head));
        }
        // The first two are too soon, and what is older than the delay has gone.
        assert_eq!(heads(&file), [(100, 6), (500, 9), (700, 10)]);
        let file = load(folder.path(), "boot", mark(800, 9));
        let found = [(100, 6), (500, 9), (700, 9), (800, 9)];
        assert_eq!(heads(&file), found, "10 was lost");
        for (boot, now) in [("other", mark(900, 9)), ("boot", mark(1, 9))] {
            let file = load(folder.path(), boot, now);
            assert_eq!(heads(&file), [(now.at.as_secs(), 9)]);
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let title = load(folder.path(), "boot", mark(1, 0)).title;
        for bad in [
            "",
            "x",
            "1 2",
            "1 2 3 4",
            "-1 2 3",
            "2 2 3\n1 3 3",
            "1 3 3\n2 2 3",
        ] {
            let text = format!("{title}\n{bad}\n");
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(
                heads(&load(folder.path(), "boot", mark(9, 9))),
                [(9, 9)],
                "{bad}"
            );
        }
        MarkFile::remove(folder.path());
        assert!(!folder.path().join(NAME).exists());
    }
}
