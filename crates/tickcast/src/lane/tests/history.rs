//! Tests readers of every tick that wait for the disk.

use std::path::Path;

use tickcast_tape::{Options, Sync};

use super::*;

/// The shortest heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// Returns a log of nine ticks on disk, three of them in memory, and a reader of all ticks that has been sent
/// none.
fn waiting(folder: &Path) -> (Stage, Key, Reader) {
    let limits = Limits::default().tape_ticks(3);
    let options = Options::default().sync(Sync::Never).retention_bytes(4 << 20);
    let mut stage = Stage::of(Log::on_disk(tickcast_tape::open(folder, options, limits).unwrap()), limits);
    (1..=9).for_each(|price| stage.tick("A", price));
    stage.flush();
    let head = (stage.log.read(|log| log.cursor().epoch), stage.log.head());
    let every = to("A").oldest_first().resumable(terms(1, Mode::All, HEARTBEAT), head);
    let (key, reader) = stage.open(every);
    assert!(stage.lane.streams[key].waiting(), "it waits");
    assert_eq!(events(&reader), [""; 0]);
    (stage, key, reader)
}

/// Returns the events since the last call, for example `tick 1`, `heartbeat`, `ready`.
fn events(reader: &Reader) -> Vec<String> {
    let received = std::mem::take(&mut reader.0.borrow_mut().received);
    let events = received.split_terminator("\n\n").map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let data: serde_json::Value = serde_json::from_str(field("data: ")).unwrap();
        match field("event: ") {
            "tick" => format!("tick {}", data["n"]),
            other => other.to_owned(),
        }
    });
    events.collect()
}

/// Returns the result of the history reader for the single waiting request.
async fn read(stage: &mut Stage) -> Box<HistoryResponse> {
    let wanted = stage.lane.take_history_requests().pop().unwrap();
    let librarian = HistoryReader::start(stage.log.tape().unwrap().clone()).unwrap();
    let (answer, found) = tokio::sync::oneshot::channel();
    assert!(librarian.request(wanted, move |found| _ = answer.send(found)).is_none());
    Box::new(found.await.unwrap())
}

/// This holds for any duration of the disk read, even above the write timeout.
#[tokio::test]
async fn a_stream_that_waits_for_the_disk_is_sent_heartbeats_and_then_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (mut stage, _, reader) = waiting(folder.path());
    while stage.now < MANNERS.write_timeout * 2 {
        stage.pass(2_999);
        assert_eq!(events(&reader), [""; 0], "at {:?}", stage.now);
        stage.pass(1);
        assert_eq!(events(&reader), ["heartbeat"], "at {:?}", stage.now);
    }
    assert!(!reader.0.borrow().cut);
    let found = read(&mut stage).await;
    stage.lane.handle_history(*found, stage.now);
    let all = (1..=9).map(|n| format!("tick {n}")).chain(["ready".to_owned()]);
    assert_eq!(events(&reader), all.collect::<Vec<_>>());
    stage.tick("A", 10);
    stage.flush();
    assert_eq!(events(&reader), ["tick 10"]);
    stage.pass(3_000);
    assert_eq!(events(&reader), ["heartbeat"]);
}

/// The sink still has unsent bytes. A write is tried at each heartbeat, and not all the time. The stream is
/// not cut, because it waits for the disk.
#[tokio::test]
async fn a_stream_that_waits_for_the_disk_with_a_full_sink_is_tried_at_each_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let (mut stage, key, reader) = waiting(folder.path());
    reader.stop(true);
    reader.0.borrow_mut().offers = 0;
    while stage.now < Duration::from_secs(60) {
        stage.pass(1);
    }
    let offers = reader.0.borrow().offers;
    assert!((1..=20).contains(&offers), "{offers} heartbeats were tried in a minute");
    assert!(!reader.0.borrow().cut);
    reader.stop(false);
    stage.lane.ready(key, stage.now);
    assert_eq!(events(&reader), [""; 0], "it still waits");
    stage.pass(3_000);
    assert_eq!(events(&reader), ["heartbeat"]);
    let found = read(&mut stage).await;
    stage.lane.handle_history(*found, stage.now);
    assert_eq!(events(&reader).len(), 10, "nine ticks and ready");
}
