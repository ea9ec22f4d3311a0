//! Tests of a lane without a task: time is a number, and sinks are lists.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use tickcast_core::{Epoch, Filter, Limits, Mode, Now, Price, Sequencer, Symbol, Tick};

use super::flush::BATCH_TICKS;
use super::*;
use crate::access::Viewer;
use crate::log::Log;
use crate::rate::Rate;
use crate::subscription::{Edit, EditError, Effective, Heartbeat, SessionOptions, StreamId};

mod batches;
mod behind_tape;
mod buffered;
mod expiry;
mod history;
mod idle;
mod many_statuses;
mod new_symbols;
mod restored;
mod visits;
mod wire;

pub(super) const STREAM_LIMITS: StreamLimits = StreamLimits {
    max_lag: Duration::from_secs(1),
    keep_alive: Duration::from_secs(15),
    write_timeout: Duration::from_secs(30),
    buffered_bytes: 1 << 20,
    delay: Duration::ZERO,
};

/// A reader whose connection a test can stop and start.
#[derive(Clone, Default)]
pub(super) struct Reader(pub(super) Rc<RefCell<Connection>>);

#[derive(Default)]
pub(super) struct Connection {
    pub(super) received: String,
    pub(super) stopped: bool,
    /// Number of payloads that it accepts before it stops by itself. `None`: no limit.
    pub(super) remaining_writes: Option<usize>,
    /// Whether the peer has reset the connection. If so, the next write fails.
    pub(super) peer_reset: bool,
    /// The payload of the first write after the reader left. There must be at most one such write.
    pub(super) failed_write: Option<String>,
    /// Number of tried writes since this was last set to zero.
    pub(super) tried_writes: usize,
    /// Size of the longest payload of a tried write.
    pub(super) max_payload_bytes: usize,
    pub(super) ended: bool,
    pub(super) cut: bool,
    /// The buffered data that it reports.
    pub(super) buffered: Option<Buffered>,
}

impl Sink for Reader {
    type BatchWriter = OneAtATime;

    fn try_write(&self, payload: &Payload) -> WriteAttempt {
        let mut connection = self.0.borrow_mut();
        assert!(!connection.ended, "nothing is written after the end");
        connection.tried_writes += 1;
        connection.max_payload_bytes = connection.max_payload_bytes.max(payload.len());
        assert_eq!(
            connection.failed_write, None,
            "a sink that is gone is not tried again"
        );
        if connection.peer_reset {
            connection.failed_write =
                Some(std::str::from_utf8(payload.events()).unwrap().to_owned());
            return WriteAttempt::Gone;
        }
        if connection.stopped {
            return WriteAttempt::Refused;
        }
        if let Some(remaining_writes) = &mut connection.remaining_writes {
            let Some(remaining) = remaining_writes.checked_sub(1) else {
                return WriteAttempt::Refused;
            };
            *remaining_writes = remaining;
        }
        connection
            .received
            .push_str(std::str::from_utf8(payload.events()).unwrap());
        WriteAttempt::Sent(payload.len())
    }

    fn resume(&mut self) -> WriteOutcome {
        let connection = self.0.borrow();
        match connection.stopped {
            _ if connection.peer_reset => WriteOutcome::Gone,
            true => WriteOutcome::Refused,
            false => WriteOutcome::Taken,
        }
    }

    fn end(&mut self) -> WriteOutcome {
        self.0.borrow_mut().ended = true;
        self.resume()
    }

    fn buffered(&self) -> Option<Buffered> {
        self.0.borrow().buffered
    }

    fn cut(&mut self) {
        self.0.borrow_mut().cut = true;
    }
}

impl Reader {
    pub(super) fn stop(&self, stopped: bool) {
        self.0.borrow_mut().stopped = stopped;
    }

    /// Returns the ticks and comments since the last call. `AAPL 1=10` is the first tick of AAPL,
    /// at price 10.
    fn take(&self) -> Vec<String> {
        let received = std::mem::take(&mut self.0.borrow_mut().received);
        received
            .split_terminator('\n')
            .filter_map(|line| {
                let Some(json) = line.strip_prefix("data: ") else {
                    return line.starts_with(':').then(|| line.to_owned());
                };
                let tick: serde_json::Value = serde_json::from_str(json).unwrap();
                Some(format!(
                    "{} {}={}",
                    tick["symbol"].as_str().unwrap(),
                    tick["n"],
                    tick["price"]
                ))
            })
            .collect()
    }
}

/// A log and a lane that follows it.
struct Harness {
    log: Log,
    lane: Lane<Reader>,
    now: Duration,
}

impl Harness {
    fn new(limits: Limits) -> Self {
        Self::of(Log::new(Sequencer::new(Epoch::new(1), limits)))
    }

    fn of(log: Log) -> Self {
        let lane = Lane::new(log.replica(), STREAM_LIMITS, Arc::default(), OneAtATime);
        Self {
            lane: lane.with_archive(log.tape().cloned()),
            log,
            now: Duration::ZERO,
        }
    }

    fn tick(&self, symbol: &str, price: i64) {
        self.publish(&Tick::new(
            Symbol::new(symbol).unwrap(),
            Price::from_units(price, 0).unwrap(),
        ));
    }

    /// Publishes a tick of about 1 kB.
    fn wide_tick(&self, symbol: &str, price: usize) {
        let extra = "x".repeat(900);
        let json = format!(r#"{{"symbol":"{symbol}","price":{price},"note":"{extra}"}}"#);
        self.publish(&Tick::from_json(json.as_bytes()).unwrap());
    }

    fn publish(&self, tick: &Tick) {
        let now = Now {
            uptime: self.now,
            ..Now::default()
        };
        self.log.publish_now(tick, now);
    }

    fn flush(&mut self) {
        while self
            .lane
            .follow_log(&self.log, BATCH_TICKS, Duration::ZERO, self.now)
            > 0
        {}
        while self.lane.deliver_batches(1, self.now) {}
        self.lane.visit_flushed(self.now);
    }

    fn advance_time(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.lane.fire_timers(Now {
            uptime: self.now,
            ..Now::default()
        });
    }

    fn open(&mut self, subscription: Subscription) -> (Key, Reader) {
        let reader = Reader::default();
        let subscription = subscription.at(self.log.head());
        self.lane.stats.assign();
        let key = self
            .lane
            .open(
                |_| Ok::<_, std::convert::Infallible>(reader.clone()),
                subscription,
                self.now,
            )
            .unwrap();
        (key, reader)
    }
}

/// Changes a stream in the same way as the hub.
pub(super) fn change(
    lane: &mut Lane<Reader>,
    id: StreamId,
    edit: Edit,
    now: Duration,
) -> Option<Result<Effective, EditError>> {
    let current = match lane.change(id, ChangeRequest::Ask, now)?.transpose()? {
        Ok(current) => current,
        Err(error) => return Some(Err(error)),
    };
    match edit.apply(current.clone()) {
        Ok(effective) => {
            let proposed = ChangeRequest::Propose((current, effective, None));
            lane.change(id, proposed, now)?.transpose()
        }
        Err(error) => Some(Err(error)),
    }
}

/// Returns the session options of a resumable stream with this name.
fn session_options(name: u128, mode: Mode, heartbeat: Duration) -> SessionOptions {
    SessionOptions {
        id: StreamId::of(name),
        mode,
        heartbeat,
        last: None,
        broken: None,
        unverified: None,
        viewer: Viewer::default(),
        prepared_stream: None,
    }
}

fn subscribe(symbols: &str) -> Subscription {
    Subscription::to(Filter::parse(symbols.split(',')).unwrap())
}

#[test]
fn a_simple_stream_is_sent_a_snapshot_in_order_of_names_and_then_every_tick() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("B", 1);
    harness.tick("A", 2);
    harness.tick("B", 3);
    harness.flush();
    let (_, reader) = harness.open(subscribe("*"));
    assert_eq!(reader.take(), ["A 1=2", "B 2=3"]);
    harness.tick("C", 4);
    harness.tick("A", 5);
    harness.tick("A", 6);
    harness.flush();
    assert_eq!(reader.take(), ["C 1=4", "A 2=5", "A 3=6"]);
}

#[test]
fn a_stream_whose_viewer_was_revoked_before_it_opens_is_sent_nothing() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("A", 1);
    harness.flush();
    let rule = |viewer: &Viewer| viewer.subject_name() == "ada";
    harness.lane.revocation.set(Arc::new(rule));
    for (subject, expected) in [("ada", vec![]), ("bob", vec!["A 1=1"])] {
        let viewer = Viewer::of(Filter::all()).subject(subject);
        let subscription = subscribe("*").narrowed_to(&viewer).unwrap();
        let (_, reader) = harness.open(subscription);
        assert_eq!(reader.take(), expected, "{subject}");
    }
}

#[test]
fn each_reader_receives_its_own_symbols_including_new_symbols() {
    let mut harness = Harness::new(Limits::default());
    harness.tick("A", 1);
    harness.flush();
    let filters = ["A", "B", "A,B", "B*", "*", "A,B*"];
    let readers = filters.map(|filter| harness.open(subscribe(filter)).1);
    assert_eq!(
        readers.each_ref().map(|reader| reader.take().len()),
        [1, 0, 1, 0, 1, 1]
    );
    for (symbol, expected) in [
        ("A", [1, 0, 1, 0, 1, 1]),
        ("B", [0, 1, 1, 1, 1, 1]),
        ("BB", [0, 0, 0, 1, 1, 1]),
    ] {
        harness.tick(symbol, 2);
        harness.flush();
        assert_eq!(
            readers.each_ref().map(|reader| reader.take().len()),
            expected,
            "{symbol}"
        );
    }
}

#[test]
fn a_short_stop_loses_no_ticks_and_a_long_stop_is_conflated() {
    let mut harness = Harness::new(Limits::default());
    let (key, reader) = harness.open(subscribe("*"));
    for (pause, expected) in [
        (100, vec!["A 1=1", "B 1=2", "A 2=3"]),
        (1500, vec!["B 2=2", "A 4=3"]),
    ] {
        reader.stop(true);
        for (symbol, price) in [("A", 1), ("B", 2), ("A", 3)] {
            harness.tick(symbol, price);
            harness.flush();
        }
        harness.advance_time(pause);
        reader.stop(false);
        harness.lane.ready(key, harness.now);
        assert_eq!(reader.take(), expected);
    }
    harness.tick("B", 9);
    harness.flush();
    assert_eq!(reader.take(), ["B 3=9"], "then it follows again");
}

#[test]
fn a_reader_behind_the_tape_is_conflated() {
    let mut harness = Harness::new(Limits::default().tape_ticks(3));
    let (key, reader) = harness.open(subscribe("*"));
    reader.stop(true);
    (1..=9).for_each(|price| {
        harness.tick("A", price);
        harness.flush();
    });
    reader.stop(false);
    harness.lane.ready(key, harness.now);
    assert_eq!(reader.take(), ["A 9=9"]);
    // The lane itself may also be late.
    (10..=19).for_each(|price| harness.tick("A", price));
    harness.flush();
    assert_eq!(reader.take(), ["A 19=19"]);
}

#[test]
fn streams_of_readers_that_leave_are_removed_completely() {
    let mut harness = Harness::new(Limits::default());
    let readers: Vec<_> = ["A", "A", "B", "*", "A"]
        .map(|filter| harness.open(subscribe(filter)))
        .into();
    assert_eq!(harness.lane.stats.streams(), 5);
    harness.lane.close(readers[0].0);
    readers[4].1.0.borrow_mut().peer_reset = true;
    harness.tick("A", 1);
    harness.flush();
    assert_eq!(harness.lane.stats.streams(), 3);
    assert_eq!(
        [1, 2, 3].map(|i: usize| readers[i].1.take().len()),
        [1, 0, 1]
    );
    for (key, _) in readers {
        harness.lane.close(key);
    }
    harness.tick("B", 1);
    harness.flush();
    assert_eq!(harness.lane.stats.streams(), 0);
    assert!(!harness.lane.has_batches() && harness.lane.streams.is_empty());
}

#[test]
fn a_finish_ends_each_stream_only_after_it_has_caught_up() {
    let mut harness = Harness::new(Limits::default());
    let (_, prompt) = harness.open(subscribe("*"));
    let (key, slow) = harness.open(subscribe("*"));
    slow.stop(true);
    harness.tick("A", 1);
    harness.flush();
    harness.lane.finish(harness.now);
    assert!(prompt.0.borrow().ended && !slow.0.borrow().ended);
    slow.stop(false);
    harness.lane.ready(key, harness.now);
    assert!(slow.0.borrow().ended);
    assert_eq!(
        (prompt.take(), slow.take()),
        (vec!["A 1=1".to_owned()], vec!["A 1=1".to_owned()])
    );
    assert_eq!(harness.lane.stats.streams(), 0);
}

#[test]
fn nothing_is_sent_after_an_end_that_has_to_wait() {
    let mut harness = Harness::new(Limits::default());
    let (key, reader) = harness.open(subscribe("*"));
    reader.stop(true);
    harness.lane.end(1);
    // The sink has room again, but the lane has not been notified.
    reader.stop(false);
    harness.tick("A", 1);
    harness.flush();
    harness.lane.ready(key, harness.now);
    assert!(reader.take().is_empty());
    assert_eq!(harness.lane.stats.streams(), 0);
}

#[test]
fn a_lane_that_could_not_run_loses_no_ticks_without_a_batch_of_the_whole_tape() {
    let mut harness = Harness::new(Limits::default());
    let (_, reader) = harness.open(subscribe("*"));
    (0..3 * BATCH_TICKS as i64).for_each(|i| harness.tick("A", i));
    harness.flush();
    assert_eq!(
        reader.take().len(),
        3 * BATCH_TICKS as usize,
        "and yet nothing is missing"
    );
    assert!(reader.0.borrow().max_payload_bytes <= 1 << 20);
}

/// A lane that is behind by more than the maximum lag is a slow consumer itself.
#[test]
fn a_lane_that_cannot_keep_up_conflates() {
    let mut harness = Harness::new(Limits::default());
    let (_, reader) = harness.open(subscribe("*"));
    let ticks = BATCH_TICKS as i64;
    (0..ticks).for_each(|i| harness.tick("A", i));
    harness.advance_time(1001);
    harness.tick("A", ticks);
    harness.flush();
    assert_eq!(reader.take(), [format!("A {}={ticks}", ticks + 1)]);
    harness.advance_time(900);
    (0..3).for_each(|i| harness.tick("B", i));
    harness.flush();
    assert_eq!(reader.take(), ["B 1=0", "B 2=1", "B 3=2"]);
}

proptest! {
    /// For any behaviour of readers: each reader ends with the newest tick of every symbol that it
    /// wants. No tick arrives twice or after a newer one. A reader that never stops receives every
    /// tick.
    #[test]
    fn readers_end_with_the_newest_ticks_whatever_happens(
        steps in prop::collection::vec((0..8usize, 0..5usize, 0..700u64), 1..120),
        tape_ticks in 1usize..40,
    ) {
        const NAMES: [&str; 5] = ["A", "AB", "B", "C", "CA"];
        const FILTERS: [&str; 5] = ["*", "A", "A*", "B,C", "C*,A"];
        let mut harness = Harness::new(Limits::default().tape_ticks(tape_ticks));
        let mut readers: Vec<(Key, Reader, usize, bool)> = Vec::new();
        let mut ticks: BTreeMap<&str, i64> = BTreeMap::new();
        for (action, which, ms) in steps {
            match action {
                0 => {
                    let rate = Rate::per_second(5.0).unwrap();
                    let subscription = subscribe(FILTERS[which]);
                    let subscription = if ms % 3 == 0 { subscription.max_rate(rate) } else { subscription };
                    let (key, reader) = harness.open(subscription);
                    readers.push((key, reader, which, ms % 3 == 0));
                }
                1 | 2 if !readers.is_empty() => {
                    let (key, reader, _, lagging) = {
                        let at = which * 31 % readers.len();
                        &mut readers[at]
                    };
                    let stop = action == 1;
                    *lagging |= stop;
                    reader.stop(stop);
                    if !stop { harness.lane.ready(*key, harness.now); }
                }
                3 => harness.advance_time(ms),
                4 => harness.flush(),
                _ => {
                    let n = ticks.entry(NAMES[which]).or_default();
                    *n += 1;
                    harness.tick(NAMES[which], *n);
                    // A late lane conflates ticks for all of its readers.
                    if tape_ticks < 8 { harness.flush(); }
                }
            }
        }
        harness.flush();
        for (key, reader, ..) in &readers {
            reader.stop(false);
            harness.lane.ready(*key, harness.now);
        }
        harness.advance_time(1000);
        for (_, reader, which, lagging) in readers {
            let filter = Filter::parse(FILTERS[which].split(',')).unwrap();
            let mut seen: BTreeMap<String, i64> = BTreeMap::new();
            for line in reader.take() {
                let Some((symbol, tick)) = line.split_once(' ') else { continue };
                let n: i64 = tick.split_once('=').unwrap().0.parse().unwrap();
                let before = seen.insert(symbol.to_owned(), n);
                prop_assert!(before.is_none_or(|before| before < n), "{symbol} went from {before:?} to {n}");
                if !lagging && ticks.values().sum::<i64>() <= tape_ticks as i64 {
                    prop_assert!(before.is_none_or(|before| before + 1 == n), "{symbol} misses a tick");
                }
            }
            let expected: BTreeMap<String, i64> = ticks
                .iter()
                .filter(|(symbol, _)| filter.matches(&Symbol::new(symbol).unwrap()))
                .map(|(symbol, n)| ((*symbol).to_owned(), *n))
                .collect();
            prop_assert_eq!(seen, expected);
        }
    }
}

#[test]
fn filters_of_many_symbols_and_of_few_symbols_receive_the_same_ticks() {
    let mut harness = Harness::new(Limits::default());
    let name = |i: i64| format!("S{i:04}");
    (0..1500).for_each(|i| harness.tick(&name(i), i));
    harness.flush();
    // One filter selects enough symbols for a bitmap. The other filter grows to that number while
    // the stream is open.
    let (_, many) = harness.open(subscribe("S*"));
    let (_, growing) = harness.open(subscribe("S00*,T*"));
    assert_eq!((many.take().len(), growing.take().len()), (1500, 100));
    (0..1200).for_each(|i| harness.tick(&format!("T{i:04}"), i));
    harness.flush();
    assert_eq!((many.take().len(), growing.take().len()), (0, 1200));
    for (symbol, expected) in [
        ("S0001", [1, 1]),
        ("S1499", [1, 0]),
        ("T0000", [0, 1]),
        ("T1199", [0, 1]),
        ("X", [0, 0]),
    ] {
        harness.tick(symbol, 7);
        harness.flush();
        assert_eq!(
            [many.take().len(), growing.take().len()],
            expected,
            "{symbol}"
        );
    }
}

#[test]
fn the_index_entries_of_closed_streams_are_bounded() {
    let mut harness = Harness::new(Limits::default());
    (0..3000).for_each(|i| harness.tick(&format!("S{i:04}"), i));
    harness.flush();
    let subscribe_live = |symbols: &str| subscribe(symbols).without_snapshot();
    let filters = (0..300).map(|i| match i % 3 {
        0 => format!("S*,Z{i}"),
        1 => format!("S00*,S01*,Z{i}"),
        _ => format!("S0001,S0002,NOBODY,Z{i}"),
    });
    let keys: Vec<_> = filters
        .map(|filter| harness.open(subscribe_live(&filter)).0)
        .collect();
    let (_, open_reader) = harness.open(subscribe_live("S0001,NOBODY"));
    let entries = harness.lane.groups.entries();
    // 100 bitmaps, 100 lists of 200 symbols, and 100 lists of two known and two unknown symbols.
    assert!((20_000..=21_000).contains(&entries), "{entries}");
    for key in keys {
        harness.lane.close(key);
    }
    assert!(
        harness.lane.groups.entries() <= 4096 + 4096 / 2 + 4,
        "{}",
        harness.lane.groups.entries()
    );
    for symbol in ["S0001", "NOBODY", "S0002"] {
        harness.tick(symbol, 1);
    }
    harness.flush();
    assert_eq!(open_reader.take(), ["S0001 2=1", "NOBODY 1=1"]);
}
