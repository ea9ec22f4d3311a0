//! Moves a server's wall clock while the server runs, with `libfaketime`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::{Context, Result};
use fastrand::Rng;

/// Maximum shift of the clock in either direction, in seconds: two days.
const MAX_SHIFT_SECONDS: i64 = 2 * 86_400;

/// The environment of a server whose wall clock can be moved. The monotonic clock stays unchanged.
pub(crate) struct MovedClock {
    library: PathBuf,
    folder: tempfile::TempDir,
    /// The number of times that a server reported a moved clock.
    jumps: Arc<AtomicUsize>,
}

impl MovedClock {
    /// Creates a clock with the library `libfaketime` at the path `library`.
    ///
    /// # Errors
    /// If the library does not exist, or the file with the shift cannot be written.
    pub(crate) fn new(library: PathBuf) -> Result<Self> {
        anyhow::ensure!(library.is_file(), "{} is not a file", library.display());
        let clock = Self {
            library,
            folder: tempfile::tempdir()?,
            jumps: Arc::default(),
        };
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

    /// Returns the counter of moved clocks that a server reported.
    pub(crate) fn jumps(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.jumps)
    }

    /// Moves the clock: by up to 90 seconds, like a clock correction, or by up to two days.
    pub(crate) fn shift(&self, rng: &mut Rng) -> Result<()> {
        let max_shift = if rng.bool() { 90 } else { MAX_SHIFT_SECONDS };
        self.set(rng.i64(-max_shift..=max_shift))
    }

    /// Sets the shift against the system's clock, in seconds. The write is atomic, so a reader sees
    /// the whole file or the old file.
    fn set(&self, seconds: i64) -> Result<()> {
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{seconds:+}\n")).context("the clock cannot be set")?;
        std::fs::rename(&next, self.file()).context("the clock cannot be set")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}
