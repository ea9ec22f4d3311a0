//! Marks on disk, so that a delayed market goes on after a restart of the program. They are by a
//! clock that nobody can set and that all programs since the start of the machine share: the times on
//! the tape are by the wall clock, which may have been wrong.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tickcast_core::{Epoch, Seq, Time};

use super::marks::Mark;

/// The name of the file, in the folder of the tape.
const NAME: &str = "delayed.marks";

/// A market with a delay finds a mark that is at most this part of the delay older than needed.
const PRECISION: u32 = 256;

/// Shortest and longest time between two marks when they are new.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The file, and the marks in it.
pub(super) struct MarkFile {
    path: PathBuf,
    /// The first line. It names the clock, and the epoch: the marks count only for these.
    title: String,
    longest: Duration,
    /// Shortest time between two marks.
    interval: Duration,
    marks: VecDeque<Mark>,
    failing: bool,
}

impl MarkFile {
    /// Loads the file, for markets with at least the first and at most the second of these delays.
    /// There are no marks if it is not by this `clock`, or not of this epoch. `now` is the mark of
    /// the head that was found on the tape: what an earlier run had beyond it is lost.
    pub(super) fn load(
        folder: &Path,
        (clock, epoch): (&str, Epoch),
        (shortest, longest): (Duration, Duration),
        now: Mark,
    ) -> Self {
        let mut file = Self {
            path: folder.join(NAME),
            title: format!("tickcast-marks 2 {clock} {epoch}"),
            longest,
            interval: (shortest / PRECISION).clamp(INTERVALS.0, INTERVALS.1),
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

    /// Adds the mark of the end of the program.
    pub(super) fn close(&mut self, mark: Mark) {
        if self.marks.back().is_none_or(|last| last.head != mark.head) {
            self.add(mark);
        }
    }

    fn add(&mut self, mark: Mark) {
        self.marks.push_back(mark);
        self.thin(mark.at);
        let written = self.write();
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(path = %self.path.display(), %error, "the marks of delayed markets cannot be written: after a restart, their readers wait for the delay");
        }
        self.failing = written.is_err();
    }

    /// Removes marks that no market needs: those before the longest delay, and of older marks those
    /// that lie closer together than the delay that they serve asks for.
    fn thin(&mut self, now: Duration) {
        let old = now.saturating_sub(self.longest);
        while self.marks.get(1).is_some_and(|next| next.at <= old) {
            self.marks.pop_front();
        }
        let mut kept: VecDeque<Mark> = VecDeque::with_capacity(self.marks.len());
        for (i, mark) in self.marks.iter().enumerate() {
            let spacing = now.saturating_sub(mark.at) / PRECISION;
            let is_needed = match (kept.back(), self.marks.get(i + 1)) {
                (Some(before), Some(next)) => next.at - before.at > spacing,
                _ => true,
            };
            if is_needed {
                kept.push_back(*mark);
            }
        }
        self.marks = kept;
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

/// Returns the name of the clock that all programs share since the start of the machine, and its time.
/// `None` if the system does not tell.
///
/// The clock is the one of [`Instant`](std::time::Instant). It stands still while the machine sleeps,
/// so an age by it is never too high. A container may have a clock of its own (`time_namespaces(7)`).
pub(super) fn shared_clock() -> Option<(String, Duration)> {
    #[cfg(target_os = "linux")]
    {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        // The name of a namespace may be used again after its end, with other offsets.
        let namespace = fs::read_link("/proc/self/ns/time").unwrap_or_default();
        let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        let offsets: Vec<_> = offsets.split_whitespace().collect();
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let time = Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?);
        let name = format!(
            "{}/{}/{}",
            boot.trim(),
            namespace.display(),
            offsets.join(",")
        );
        Some((name, time))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

    fn mark(seconds: u64, head: u64) -> Mark {
        let wall = Time::from_millis(1_000_000 + seconds as i64).unwrap();
        Mark::new(Seq::new(head), Duration::from_secs(seconds), wall)
    }

    fn load(folder: &Path, clock: &str, now: Mark) -> MarkFile {
        MarkFile::load(folder, (clock, Epoch::new(1)), DELAYS, now)
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
        for (at, head) in [(1, 5), (100, 6), (101, 6), (500, 9), (700, 10)] {
            file.note(mark(at, head));
        }
        // The first one is too soon, another has no new head, and what is older than the delay has
        // gone.
        assert_eq!(heads(&file), [(100, 6), (500, 9), (700, 10)]);
        file.close(mark(700, 10));
        assert_eq!(heads(&file).len(), 3);
        let file = load(folder.path(), "boot", mark(800, 9));
        let found = [(100, 6), (500, 9), (700, 9), (800, 9)];
        assert_eq!(heads(&file), found, "10 was lost");
        for (boot, now) in [("other", mark(900, 9)), ("boot", mark(1, 9))] {
            let file = load(folder.path(), boot, now);
            assert_eq!(heads(&file), [(now.at.as_secs(), 9)]);
        }
    }

    /// A long delay costs the shorter ones nothing: new marks lie close together, old ones do not.
    #[test]
    fn each_delay_finds_a_mark_that_is_precise_enough() {
        let folder = tempfile::tempdir().unwrap();
        let delays = (DELAYS.0, Duration::from_secs(2_400));
        let mut file = MarkFile::load(folder.path(), ("", Epoch::new(1)), delays, mark(0, 0));
        for at in 1..3_000 {
            file.note(mark(at, at));
        }
        for delay in [5, 10, 100, 300, 600, 1_200, 2_400] {
            let needed = 2_999 - delay;
            let found = file.marks().take_while(|mark| mark.at.as_secs() <= needed);
            let late = needed - found.last().unwrap().at.as_secs();
            assert!(late <= 1 + delay / 256, "{late} s for {delay} s");
        }
        assert!(file.marks.len() < 1_300, "{}", file.marks.len());
        file.close(mark(2_999, 5_000));
        assert_eq!(heads(&file).last(), Some(&(2_999, 5_000)));
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
