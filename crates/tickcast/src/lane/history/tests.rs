use std::sync::mpsc::Receiver;

use tickcast_core::{Filter, Limits, Now, Symbol, Tick};
use tickcast_tape::{Options, Sync};

use super::*;
use crate::log::Log;

/// The answers to requests, in order.
type Answers = Arc<Mutex<Vec<(u64, HistoryResponse)>>>;

/// Returns a log on disk with 20 ticks of each of two symbols.
fn log(folder: &std::path::Path) -> Log {
    let options = Options::default().sync(Sync::Never);
    let opened = tickcast_tape::open(folder, options, Limits::default()).unwrap();
    let log = Log::on_disk(opened).unwrap();
    for price in 1..=20 {
        for symbol in ["A", "B"] {
            let tick = format!(r#"{{"symbol":"{symbol}","price":{price}}}"#);
            log.publish_now(&Tick::from_json(tick.as_bytes()).unwrap(), Now::default());
        }
    }
    log
}

/// Returns a reader of the log whose jobs the test does.
fn held_reader(log: &Log) -> (HistoryReader, Receiver<Box<dyn FnOnce() + Send>>) {
    let (workers, jobs) = Workers::held();
    let tape = log.tape().unwrap().clone();
    (HistoryReader::new(tape, &Arc::new(workers)), jobs)
}

/// Requests the ticks of a symbol in a range, for a stream that exists as long as the result.
fn request(
    reader: &HistoryReader,
    answers: &Answers,
    symbol: &str,
    (from, until): (u64, u64),
) -> (Arc<()>, bool) {
    let alive = Arc::new(());
    let request = HistoryRequest {
        key: Key::default(),
        filter: Filter::from(Symbol::new(symbol).unwrap()),
        format: EventFormat::Simple,
        range: (Seq::new(from), Seq::new(until)),
        verify: None,
        alive: Arc::downgrade(&alive),
    };
    let answers = Arc::clone(answers);
    let answer = move |response| answers.lock().unwrap().push((until, response));
    (alive, reader.request(request, answer).is_none())
}

/// Returns the payload of an answer and the position that it leads to.
fn payload_of((_, response): &(u64, HistoryResponse)) -> (&[u8], StreamPosition) {
    let Ok((rendered, _)) = &*response.result else {
        panic!("the tape can be read")
    };
    (rendered.payload.events(), rendered.position)
}

#[test]
fn requests_for_the_same_ticks_that_wait_together_share_one_payload() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let (reader, jobs) = held_reader(&log);
    let answers = Answers::default();
    let ask = |symbol, range| request(&reader, &answers, symbol, range);
    let streams = [
        ask("A", (0, 40)),
        ask("B", (0, 40)),
        ask("A", (0, 30)),
        ask("A", (2, 40)),
        ask("A", (0, 35)),
    ];
    let (closed, _) = ask("A", (0, 10));
    drop(closed);
    assert!(streams.iter().all(|(_, accepted)| *accepted));
    assert_eq!(jobs.try_iter().map(|job| job()).count(), 3);

    let answers = answers.lock().unwrap();
    let order: Vec<_> = answers.iter().map(|(until, _)| *until).collect();
    assert_eq!(order, [40, 30, 35, 40, 40], "one payload each, in turn");
    let [first, second, third, other, later] = [0, 1, 2, 3, 4].map(|n| payload_of(&answers[n]));
    assert_eq!(first.0.as_ptr(), second.0.as_ptr());
    assert_eq!(first.0.as_ptr(), third.0.as_ptr());
    // It ends where the first of the three readers ends; the others ask again.
    assert_eq!(first.1, StreamPosition::Behind(Seq::new(30)));
    assert_eq!((first.1, first.1), (second.1, third.1));
    assert!(other.0.windows(12).all(|part| part != br#""symbol":"A""#));
    assert_eq!(later.1, StreamPosition::Behind(Seq::new(40)));
    assert_ne!(first.0, later.0);
}

#[test]
fn too_many_reads_that_wait_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let (reader, jobs) = held_reader(&log);
    let answers = Answers::default();
    let ask = |name: usize| request(&reader, &answers, &format!("S{name}"), (0, 40));
    let streams: Vec<_> = (0..MAX_WAITING_READS).map(ask).collect();
    assert!(streams.iter().all(|(_, accepted)| *accepted));
    assert!(!ask(MAX_WAITING_READS).1);
    assert!(ask(0).1, "it takes no further read");
    jobs.try_iter().for_each(|job| job());
    assert_eq!(answers.lock().unwrap().len(), MAX_WAITING_READS);
    assert!(ask(MAX_WAITING_READS).1);
    drop(jobs);
    assert!(!ask(0).1, "no thread can read");
}

/// While a disk does not answer, clients come again and again with the same cursor.
#[test]
fn streams_that_are_gone_do_not_pile_up_in_a_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let (reader, jobs) = held_reader(&log);
    let answers = Answers::default();
    let ask = || request(&reader, &answers, "A", (0, 40));
    let streams: Vec<_> = (0..100).map(|_| ask()).collect();
    for _ in 0..10_000 {
        ask();
    }
    let waiting = lock(&reader.waiting)[0].readers.len();
    assert!(waiting <= 2 * 100 + MIN_READERS, "{waiting}");
    jobs.try_iter().for_each(|job| job());
    assert_eq!(answers.lock().unwrap().len(), streams.len());
}
