//! Ticks from a file or from standard input.
//!
//! ```no_run
//! use tickcast::{Hub, SourceOptions};
//! use tickcast_feeds::Rename;
//! use tickcast_feeds::replay::{Pacing, Replay};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder().build();
//! let publisher = hub.source("replay", SourceOptions::default());
//! let replay = Replay::new("ticks.ndjson.gz").pacing(Pacing::speed(10.0)?).repeat(true);
//! let end = replay.run(&Rename::default(), &publisher).await?;
//! println!("{end}");
//! # Ok(())
//! # }
//! ```

mod pacing;
mod player;

use std::fmt::{self, Display};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tickcast::{Publisher, Tick};
use tokio::sync::mpsc;

use crate::records::{Layout, RecordSink, Records, RecordsError};
use crate::rename::Rename;
pub use pacing::{Pacing, PacingError};
use player::Player;

/// Maximum number of ticks per batch. The next constant is the maximum number of waiting batches:
/// the reader stays a little ahead, but not a whole file ahead.
const MAX_BATCH_TICKS: usize = 256;
const MAX_QUEUED_BATCHES: usize = 16;

/// Maximum number of bad lines that are logged. All bad lines are counted.
const MAX_LOGGED_ERRORS: u64 = 10;

/// A replay of a file of ticks: publishes its ticks when they are due. Made by [`Replay::new`];
/// start it with [`run`](Self::run).
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    path: PathBuf,
    layout: Layout,
    pacing: Pacing,
    repeat: bool,
}

/// The number of ticks in a replay that has ended. Returned by [`Replay::run`] and [`stdin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayReport {
    /// Number of ticks that were published. Rejected lines are not included.
    pub published: u64,
    /// Number of ticks that the market accepted. The others were late or unchanged, or the hub
    /// rejected them.
    pub accepted: u64,
}

impl Replay {
    /// Creates a replay of a file: NDJSON, a JSON array or CSV, plain, gzip or zstd. The default is
    /// one pass at the original speed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (layout, pacing) = (Layout::default(), Pacing::default());
        Self {
            path: path.into(),
            layout,
            pacing,
            repeat: false,
        }
    }

    /// Sets what a CSV itself does not contain. Default: the CSV has a header with all columns.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets the speed. Default: the original speed.
    #[must_use]
    pub const fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// Sets whether the replay starts again at the end of the file. The times of each later pass
    /// follow the pass before it. Default: no.
    #[must_use]
    pub const fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Publishes the ticks under their local names when they are due. Lines that are not ticks are
    /// counted as rejected; the first ten are logged. Returns at the end of the file; with
    /// [`repeat`](Replay::repeat), only if a pass contains no tick. Another thread reads the file.
    /// To end the replay early, drop the future. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the file cannot be opened, read or decompressed, or has an unknown format. All earlier
    /// ticks are published.
    pub async fn run(
        &self,
        rename: &Rename,
        publisher: &Publisher,
    ) -> Result<ReplayReport, RecordsError> {
        let (path, layout) = (self.path.clone(), self.layout.clone());
        let open = move || Records::open(&path, layout.clone());
        replay(
            open,
            self.path.display().to_string(),
            (self.pacing, self.repeat),
            rename,
            publisher,
        )
        .await
    }
}

/// Publishes ticks from standard input as they arrive, in the formats of [`Replay::new`]. Returns
/// at the end of the input.
///
/// # Errors
/// If the input cannot be read or decompressed, or has an unknown format. All earlier ticks are
/// published.
pub async fn stdin(
    layout: &Layout,
    rename: &Rename,
    publisher: &Publisher,
) -> Result<ReplayReport, RecordsError> {
    let layout = layout.clone();
    let open = move || Ok(Records::stdin(layout.clone()));
    replay(
        open,
        "standard input".to_owned(),
        (Pacing::MAX, false),
        rename,
        publisher,
    )
    .await
}

async fn replay(
    open: impl Fn() -> Result<Records, RecordsError> + Send + 'static,
    name: String,
    (pacing, repeat): (Pacing, bool),
    rename: &Rename,
    publisher: &Publisher,
) -> Result<ReplayReport, RecordsError> {
    let (sender, mut receiver) = mpsc::channel(MAX_QUEUED_BATCHES);
    let reading = Reading {
        name,
        rename: rename.clone(),
        publisher: publisher.clone(),
        sender,
        batch: Vec::new(),
        any: false,
        bad: 0,
        passes: 0,
    };
    // A separate thread reads, not a thread of the runtime. Nothing interrupts a read from a pipe,
    // so this thread must not delay the end of the program.
    std::thread::spawn(move || reading.run(open, repeat));

    let mut player = Player::new(pacing);
    while let Some(read) = receiver.recv().await {
        match read {
            Read::Ticks(ticks) => player.play(ticks, publisher).await,
            Read::Pass => player.rewind(),
            Read::Failed(error) => return Err(error),
        }
    }
    Ok(ReplayReport {
        published: player.played,
        accepted: player.taken,
    })
}

impl Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} ticks were accepted",
            self.accepted, self.published
        )
    }
}

/// A message from the thread that reads.
enum Read {
    Ticks(Vec<Tick>),
    /// The end of one pass through the file.
    Pass,
    Failed(RecordsError),
}

/// The state of the thread that reads.
struct Reading {
    name: String,
    rename: Rename,
    publisher: Publisher,
    sender: mpsc::Sender<Read>,
    batch: Vec<Tick>,
    any: bool,
    bad: u64,
    /// Number of completed passes through the file.
    passes: u64,
}

impl Reading {
    fn run(mut self, open: impl Fn() -> Result<Records, RecordsError>, repeat: bool) {
        loop {
            let result = open().and_then(|records| records.read(&mut self));
            self.passes += 1;
            let next = match result {
                Ok(()) => Read::Pass,
                Err(error) => Read::Failed(error),
            };
            // A file without any good line would be read again without end.
            let over = !repeat || matches!(next, Read::Failed(_)) || !self.any;
            if self.sender.blocking_send(next).is_err() || over {
                return;
            }
        }
    }
}

impl RecordSink for Reading {
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()> {
        match Tick::from_recorded_json(text).and_then(|tick| self.rename.tick(tick)) {
            Ok(tick) => {
                self.any = true;
                self.batch.push(tick);
            }
            Err(rejected) => self.reject(line, &rejected)?,
        }
        if self.batch.len() < MAX_BATCH_TICKS {
            ControlFlow::Continue(())
        } else {
            self.pause()
        }
    }

    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
        self.publisher.reporter().reject();
        self.bad += 1;
        if self.bad <= MAX_LOGGED_ERRORS {
            tracing::warn!("{}: line {line}: {why}", self.name);
        }
        if self.bad == MAX_LOGGED_ERRORS {
            tracing::warn!(
                "{}: further bad lines are counted but not logged",
                self.name
            );
        }
        ControlFlow::Continue(())
    }

    fn warn(&mut self, line: u64, what: &str) {
        // Only the first pass warns, because a loop would repeat the warning without end.
        if self.passes == 0 {
            tracing::warn!("{}: line {line}: {what}", self.name);
        }
    }

    /// Sends the collected ticks to the player.
    fn pause(&mut self) -> ControlFlow<()> {
        if self.batch.is_empty() {
            return ControlFlow::Continue(());
        }
        match self
            .sender
            .blocking_send(Read::Ticks(std::mem::take(&mut self.batch)))
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
