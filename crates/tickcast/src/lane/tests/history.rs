//! Tests readers of every tick that wait for the disk.

use std::path::Path;

use tickcast_tape::{Options, Sync};

use super::*;

/// The shortest heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// Returns a log of nine ticks on disk, three of them in memory, and a reader of all ticks that has
/// been sent none.
fn waiting_stream(folder: &Path) -> (Harness, Key, Reader) {
    let limits = Limits::default().tape_ticks(3);
    let options = Options::default()
        .sync(Sync::Never)
        .retention_bytes(4 << 20);
    let opened = tickcast_tape::open(folder, options, limits).unwrap();
    let mut harness = Harness::of(Log::on_disk(opened).unwrap());
    (1..=9).for_each(|price| harness.tick("A", price));
    harness.flush();
    let head = (
        harness.log.read(|log| log.cursor().epoch),
        harness.log.head(),
    );
    let subscription = subscribe("A")
        .oldest_first()
        .resumable(session_options(1, Mode::All, HEARTBEAT), head);
    let (key, reader) = harness.open(subscription);
    assert!(harness.lane.streams[key].waiting(), "it waits");
    assert_eq!(events(&reader), [""; 0]);
    (harness, key, reader)
}

/// Returns the events since the last call, for example `tick 1`, `heartbeat`, `ready`.
fn events(reader: &Reader) -> Vec<String> {
    let received = std::mem::take(&mut reader.0.borrow_mut().received);
    let events = received.split_terminator("\n\n").map(|event| {
        let field = |name: &str| {
            event
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
        };
        let data: serde_json::Value = serde_json::from_str(field("data: ")).unwrap();
        match field("event: ") {
            "tick" => format!("tick {}", data["n"]),
            other => other.to_owned(),
        }
    });
    events.collect()
}

/// Returns the result of the history reader for the single waiting request.
async fn read_history(harness: &mut Harness) -> Box<HistoryResponse> {
    let request = harness.lane.take_history_requests().pop().unwrap();
    let history_reader = HistoryReader::new(harness.log.tape().unwrap().clone(), &Arc::default());
    let (answer, response) = tokio::sync::oneshot::channel();
    assert!(
        history_reader
            .request(request, move |response| _ = answer.send(response))
            .is_none()
    );
    Box::new(response.await.unwrap())
}

/// This holds for any duration of the disk read, even above the write timeout.
#[tokio::test]
async fn a_stream_that_waits_for_the_disk_is_sent_heartbeats_and_then_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (mut harness, _, reader) = waiting_stream(folder.path());
    while harness.now < STREAM_LIMITS.write_timeout * 2 {
        harness.advance_time(2_999);
        assert_eq!(events(&reader), [""; 0], "at {:?}", harness.now);
        harness.advance_time(1);
        assert_eq!(events(&reader), ["heartbeat"], "at {:?}", harness.now);
    }
    assert!(!reader.0.borrow().cut);
    let response = read_history(&mut harness).await;
    harness.lane.handle_history(*response, harness.now);
    let all = (1..=9)
        .map(|n| format!("tick {n}"))
        .chain(["ready".to_owned()]);
    assert_eq!(events(&reader), all.collect::<Vec<_>>());
    harness.tick("A", 10);
    harness.flush();
    assert_eq!(events(&reader), ["tick 10"]);
    harness.advance_time(3_000);
    assert_eq!(events(&reader), ["heartbeat"]);
}

/// The sink still has unsent bytes. A write is tried at each heartbeat, and not all the time. The
/// stream is not cut, because it waits for the disk.
#[tokio::test]
async fn a_stream_that_waits_for_the_disk_with_a_full_sink_is_tried_at_each_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let (mut harness, key, reader) = waiting_stream(folder.path());
    reader.stop(true);
    reader.0.borrow_mut().tried_writes = 0;
    while harness.now < Duration::from_secs(60) {
        harness.advance_time(1);
    }
    let tried_writes = reader.0.borrow().tried_writes;
    assert!(
        (1..=20).contains(&tried_writes),
        "{tried_writes} heartbeats were tried in a minute"
    );
    assert!(!reader.0.borrow().cut);
    reader.stop(false);
    harness.lane.ready(key, harness.now);
    assert_eq!(events(&reader), [""; 0], "it still waits");
    harness.advance_time(3_000);
    assert_eq!(events(&reader), ["heartbeat"]);
    let response = read_history(&mut harness).await;
    harness.lane.handle_history(*response, harness.now);
    assert_eq!(events(&reader).len(), 10, "nine ticks and ready");
}
