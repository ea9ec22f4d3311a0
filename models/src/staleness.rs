//! No lane shows a state of a source that is not its state, and no source is stale after a tick.

use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;
use tickcast_core::{Now, State, Time};

use crate::doorbell::Doorbell;
use crate::source_state::SourceState;
use crate::sources::{DEFAULT_STALE_AFTER, Source, Sources};

/// A source, a lane and a clock.
struct Hub {
    sources: Sources,
    source: Arc<Source>,
    doorbell: Arc<Doorbell>,
    /// The uptime, in seconds.
    clock: AtomicU64,
    /// The time at which the lane wakes by itself, in seconds.
    wakes_at: AtomicU64,
    /// The state that the lane has sent to its readers.
    sent: Mutex<Option<State>>,
    ended: AtomicBool,
}

impl Hub {
    fn new() -> Arc<Self> {
        let sources = Sources::default();
        let (_, source) = sources.register("feed", Time::default());
        let doorbell = Arc::new(Doorbell::default());
        sources.set_wakers(vec![Arc::clone(&doorbell)]);
        Arc::new(Self {
            sources,
            source,
            doorbell,
            clock: AtomicU64::new(0),
            wakes_at: AtomicU64::new(u64::MAX),
            sent: Mutex::new(None),
            ended: AtomicBool::new(false),
        })
    }

    fn now(&self) -> Now {
        Now {
            uptime: Duration::from_secs(self.clock.load(Ordering::SeqCst)),
            ..Now::default()
        }
    }

    /// Lets time pass, and wakes the lane if its time has come.
    fn pass(&self, seconds: u64) {
        let now = self.clock.fetch_add(seconds, Ordering::SeqCst) + seconds;
        if self.wakes_at.load(Ordering::SeqCst) <= now {
            self.doorbell.wake();
        }
    }

    /// Runs the lane, as `Work` does.
    fn run_lane(&self) {
        let mut version = 0;
        while !self.ended.load(Ordering::SeqCst) {
            let stale_at = self.sources.check_staleness(self.now());
            let current = self.sources.version();
            if current != version {
                let statuses = self.sources.statuses();
                version = current;
                *self.sent.lock().unwrap() = Some(statuses[0].status.state);
            }
            let wakes_at = stale_at.map_or(u64::MAX, |at| at.as_secs());
            self.wakes_at.store(wakes_at, Ordering::SeqCst);
            if wakes_at > self.clock.load(Ordering::SeqCst) {
                self.doorbell.wait();
            }
        }
    }

    /// Checks what the lane has sent when it sleeps and nothing happens any more.
    fn check(&self) {
        self.doorbell.wait_for_sleep();
        let state = self.source.stats().state;
        assert_eq!(*self.sent.lock().unwrap(), Some(state.as_state()));
        self.ended.store(true, Ordering::SeqCst);
        self.doorbell.wake();
    }
}

/// Runs a source that ticks while its silence becomes too long. It ticks last, so it is live.
pub fn a_tick_ends_the_silence() {
    let hub = Hub::new();
    let stale_after = DEFAULT_STALE_AFTER.as_secs();
    let run = |run: fn(&Hub)| {
        let hub = Arc::clone(&hub);
        thread::spawn(move || run(&hub))
    };
    let lane = run(Hub::run_lane);
    hub.sources.note_activity(&hub.source, hub.now());
    let clock = run(|hub| {
        hub.pass(DEFAULT_STALE_AFTER.as_secs());
        hub.pass(1);
    });
    let publisher =
        run(|hub| (0..2).for_each(|_| hub.sources.note_activity(&hub.source, hub.now())));
    clock.join().unwrap();
    publisher.join().unwrap();
    // Time stands still now.
    hub.sources.note_activity(&hub.source, hub.now());
    hub.doorbell.wait_for_sleep();
    assert_eq!(hub.source.stats().state, SourceState::Live);
    hub.pass(stale_after);
    hub.doorbell.wait_for_sleep();
    assert_eq!(hub.source.stats().state, SourceState::Stale);
    hub.check();
    lane.join().unwrap();
}

/// Runs a source that reports its state while it ticks and becomes stale.
pub fn a_state_reaches_the_lane() {
    let hub = Hub::new();
    let run = |run: fn(&Hub)| {
        let hub = Arc::clone(&hub);
        thread::spawn(move || run(&hub))
    };
    let lane = run(Hub::run_lane);
    let publisher = run(|hub| {
        hub.sources.note_activity(&hub.source, hub.now());
        let down = SourceState::Down("closed".to_owned());
        hub.sources.set(&hub.source, &down, hub.now());
        hub.sources.set(&hub.source, &SourceState::Live, hub.now());
        hub.sources.note_activity(&hub.source, hub.now());
    });
    let clock = run(|hub| {
        hub.pass(DEFAULT_STALE_AFTER.as_secs());
        hub.pass(DEFAULT_STALE_AFTER.as_secs());
    });
    publisher.join().unwrap();
    clock.join().unwrap();
    hub.check();
    lane.join().unwrap();
}
