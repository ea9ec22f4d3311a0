//! Ticks from a file or from standard input.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tickcast::{Outcome, Publisher, Tick, Time};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::records::{Layout, Records, RecordsError, Taker};
use super::rename::Rename;

/// Maximum number of ticks per batch. The next constant is the maximum number of waiting batches: the reader
/// stays a little ahead, but not a whole file ahead.
const MAX_BATCH_TICKS: usize = 256;
const MAX_QUEUED_BATCHES: usize = 16;

/// Maximum number of bad lines that are logged. All bad lines are counted.
const MAX_LOGGED_ERRORS: u64 = 10;

/// Speed of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pacing {
    /// As fast as the file can be read.
    Max,
    /// This number of ticks per second.
    Rate(f64),
    /// By the times of the ticks, multiplied by this speed factor.
    Times(f64),
}

/// A message from the thread that reads.
enum Read {
    Ticks(Vec<Tick>),
    /// The end of one pass through the file.
    Pass,
    Failed(RecordsError),
}

/// Replays a file, without end if `repeat` is set. Returns the reason for the end.
pub(super) async fn file(
    path: &Path,
    layout: &Layout,
    pacing: Pacing,
    repeat: bool,
    rename: &Rename,
    publisher: &Publisher,
) -> Result<String, RecordsError> {
    let (path, layout, shown) = (path.to_path_buf(), layout.clone(), path.display().to_string());
    let open = move || Records::open(&path, layout.clone());
    replay(open, shown, pacing, repeat, rename, publisher).await
}

/// Publishes ticks from standard input as they arrive.
pub(super) async fn stdin(
    layout: &Layout,
    rename: &Rename,
    publisher: &Publisher,
) -> Result<String, RecordsError> {
    let layout = layout.clone();
    let open = move || Ok(Records::stdin(layout.clone()));
    replay(open, "standard input".to_owned(), Pacing::Max, false, rename, publisher).await
}

async fn replay(
    open: impl Fn() -> Result<Records, RecordsError> + Send + 'static,
    name: String,
    pacing: Pacing,
    repeat: bool,
    rename: &Rename,
    publisher: &Publisher,
) -> Result<String, RecordsError> {
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
    // A separate thread reads, not a thread of the runtime. Nothing interrupts a read from a pipe, so this
    // thread must not delay the end of the program.
    std::thread::spawn(move || reading.run(open, repeat));

    let mut player = Player::new(pacing);
    while let Some(read) = receiver.recv().await {
        match read {
            Read::Ticks(ticks) => player.play(ticks, publisher).await,
            Read::Pass => player.rewind(),
            Read::Failed(error) => return Err(error),
        }
    }
    let Player { played, taken, .. } = player;
    Ok(format!("{taken} of {played} ticks were accepted"))
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

impl Taker for Reading {
    fn take(&mut self, line: u64, text: &[u8]) -> ControlFlow<()> {
        match Tick::from_recorded_json(text).and_then(|tick| self.rename.tick(tick)) {
            Ok(tick) => {
                self.any = true;
                self.batch.push(tick);
            }
            Err(rejected) => self.reject(line, &rejected)?,
        }
        if self.batch.len() < MAX_BATCH_TICKS { ControlFlow::Continue(()) } else { self.pause() }
    }

    fn reject(&mut self, line: u64, why: &dyn Display) -> ControlFlow<()> {
        self.publisher.reject();
        self.bad += 1;
        if self.bad <= MAX_LOGGED_ERRORS {
            tracing::warn!("{}: line {line}: {why}", self.name);
        }
        if self.bad == MAX_LOGGED_ERRORS {
            tracing::warn!("{}: further bad lines are counted but not logged", self.name);
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
        match self.sender.blocking_send(Read::Ticks(std::mem::take(&mut self.batch))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// A player that publishes ticks when they are due.
struct Player {
    pacing: Pacing,
    start: Instant,
    played: u64,
    taken: u64,
    /// The time of the first tick. Due times count from this time.
    first: Option<Time>,
    last: Time,
    /// The offset that is added to the times of the ticks, so that a second pass follows the first.
    shift: Duration,
    rewound: bool,
}

impl Player {
    fn new(pacing: Pacing) -> Self {
        let (start, last) = (Instant::now(), Time::default());
        Self { pacing, start, played: 0, taken: 0, first: None, last, shift: Duration::ZERO, rewound: false }
    }

    async fn play(&mut self, mut ticks: Vec<Tick>, publisher: &Publisher) {
        let mut ready = 0;
        for i in 0..ticks.len() {
            let due = self.due(&mut ticks[i]);
            if due > Instant::now() {
                self.publish(&ticks[ready..i], publisher);
                ready = i;
                sleep_until(due).await;
            }
        }
        self.publish(&ticks[ready..], publisher);
        tokio::task::yield_now().await;
    }

    fn publish(&mut self, ticks: &[Tick], publisher: &Publisher) {
        publisher.publish_all(ticks, |_, outcome| {
            self.taken += u64::from(matches!(outcome, Ok(Outcome::Accepted(_))));
        });
    }

    /// Starts the next pass one millisecond after the end of the last pass.
    fn rewind(&mut self) {
        self.rewound = true;
    }

    /// Returns when a tick is due, and shifts the time of the tick into this pass.
    fn due(&mut self, tick: &mut Tick) -> Instant {
        let mut moved = None;
        if let Some(time) = tick.time {
            let first = *self.first.get_or_insert(time);
            if std::mem::take(&mut self.rewound) {
                self.shift = since(self.last, first) + Duration::from_millis(1);
            }
            let time = time.saturating_add(self.shift);
            self.last = self.last.max(time);
            moved = Some(time);
            // If a repeated pass is ahead of the clock, the tick has no own time and gets the current time.
            let first_pass = self.shift.is_zero();
            tick.time = moved.filter(|time| first_pass || *time <= SystemTime::now().into());
        }
        self.played += 1;
        match self.pacing {
            Pacing::Max => self.start,
            Pacing::Rate(rate) => self.start + Duration::from_secs_f64((self.played - 1) as f64 / rate),
            Pacing::Times(speed) => match (self.first, moved) {
                (Some(first), Some(time)) => self.start + since(time, first).div_f64(speed),
                _ => self.start,
            },
        }
    }
}

fn since(later: Time, earlier: Time) -> Duration {
    Duration::from_millis(u64::try_from(later.as_millis() - earlier.as_millis()).unwrap_or(0))
}
