//! A server's wall clock, moved while it runs, by `libfaketime`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::{Context, Result};
use fastrand::Rng;

/// How far the clock is moved at most, either way, in seconds: two days.
const FARTHEST: i64 = 2 * 86_400;

/// What a server is started with, so that its wall clock can be moved. The clock that only goes on is left alone.
pub(crate) struct MovedClock {
    library: PathBuf,
    folder: tempfile::TempDir,
    /// How often a server has said that it was moved.
    noticed: Arc<AtomicUsize>,
}

impl MovedClock {
    /// By `libfaketime`, which is `library`.
    ///
    /// # Errors
    /// If it is not there, or there is no room for the file that says how late it is.
    pub(crate) fn new(library: PathBuf) -> Result<Self> {
        anyhow::ensure!(library.is_file(), "{} is no file", library.display());
        let clock = Self { library, folder: tempfile::tempdir()?, noticed: Arc::default() };
        clock.set(0)?;
        Ok(clock)
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
        .into_iter()
    }

    /// How often a server has said that its clock was moved.
    pub(crate) fn noticed(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.noticed)
    }

    /// Moves it: by seconds, as a clock that is put right is, or by hours.
    pub(crate) fn move_it(&self, rng: &mut Rng) -> Result<()> {
        let farthest = if rng.bool() { 90 } else { FARTHEST };
        self.set(rng.i64(-farthest..=farthest))
    }

    /// Says that it goes so many seconds before the system's, or behind it. Whoever reads meanwhile sees all of it, or nothing.
    fn set(&self, seconds: i64) -> Result<()> {
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{seconds:+}\n")).context("the clock cannot be set")?;
        std::fs::rename(&next, self.file()).context("the clock cannot be set")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}
