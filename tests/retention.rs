//! Retention: the tape on disk drops ticks that are too many or too old. A reader with an older
//! cursor receives a `reset`.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::disk::{files, fill};
use crate::resumable::{back, cursor_at, data, open, short, up_to};
use crate::server::{TestServer, eventually};

/// Number of ticks that fill more than three segments of the smallest tape.
const TICKS: u64 = 60_000;

/// Returns the sequence number before the oldest tick on disk.
async fn last_removed(server: &TestServer) -> u64 {
    let (_, status) = server.get("/v1/status").await;
    let head = status["cursor"]
        .as_str()
        .unwrap()
        .split(['-', '.'])
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap();
    head - status["disk"]["ticks"].as_u64().unwrap()
}

/// Checks the responses to a cursor that is older than the tape: for every tick, and for newest
/// values.
async fn check_expired(server: &TestServer, early_cursor: &str, newest: &str) {
    let mut reader = back(server, "?mode=all", early_cursor).await;
    let reset = reader.event().await.unwrap();
    assert_eq!(
        (short(&reset).as_str(), data(&reset)["last"].as_str()),
        ("reset expired @0", Some(early_cursor))
    );
    let tick = reader.until(|event| event.event == "tick").await;
    assert_eq!(short(&tick), newest);
    let ready = reader.event().await.unwrap();
    assert_eq!(
        (ready.event.as_str(), data(&ready)["resumed"].as_bool()),
        ("ready", Some(false))
    );
    let mut resumed = back(server, "?mode=all", &ready.id).await;
    let ready = resumed.until(|event| event.event == "ready").await;
    assert_eq!(
        data(&ready)["resumed"],
        true,
        "the cursor after a `reset` must be valid"
    );
    let mut reader = back(server, "", early_cursor).await;
    let seen = up_to(&mut reader, "ready").await;
    let seen: Vec<_> = seen
        .iter()
        .filter(|event| !event.starts_with("symbol "))
        .collect();
    assert_eq!((seen.len(), seen[0].as_str()), (2, newest), "{seen:?}");
}

/// Checks that a stream and an export both start at the first tick that is left.
async fn check_remaining(server: &TestServer, last_removed: u64) {
    let mut reader = open(server, "?mode=all&since=start").await;
    let first = reader.until(|event| event.event == "tick").await;
    assert_eq!(data(&first)["n"], last_removed + 1);
    let export = server
        .http
        .get(format!("{}/v1/ticks/A", server.public))
        .send()
        .await
        .unwrap();
    let export = export.text().await.unwrap();
    let first: serde_json::Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["n"].as_u64(), export.lines().count() as u64),
        (Some(last_removed + 1), TICKS - last_removed)
    );
}

#[tokio::test]
async fn retention_bytes_drops_the_oldest_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--tape-ticks", "100", "--retention-bytes", "4194304"];
    let server = TestServer::on_disk(folder.path(), &small);
    fill(&server, "A", 1..=100).await;
    let early_cursor = cursor_at(&server, 50).await;
    fill(&server, "A", 101..=TICKS).await;
    eventually(async || last_removed(&server).await > 50).await;
    let newest = format!("tick A {TICKS}={TICKS}.50 @{TICKS}");
    check_expired(&server, &early_cursor, &newest).await;
    server.end();
    // The limit is `--retention-bytes` plus the reserved space of the segment that is being
    // written.
    let bytes: u64 = files(folder.path())
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes <= (4 << 20) + (2 << 20), "{bytes} bytes");
    let server = TestServer::on_disk(folder.path(), &small);
    check_expired(&server, &early_cursor, &newest).await;
    let last_removed = last_removed(&server).await;
    assert!((51..TICKS).contains(&last_removed), "{last_removed}");
    check_remaining(&server, last_removed).await;
}

#[tokio::test]
async fn retention_time_drops_old_segments() {
    let folder = tempfile::tempdir().unwrap();
    let hour = [
        "--tape-ticks",
        "100",
        "--retention-bytes",
        "33554432",
        "--retention-time",
        "1h",
    ];
    let server = TestServer::on_disk(folder.path(), &hour);
    fill(&server, "A", 1..=100).await;
    let early_cursor = cursor_at(&server, 50).await;
    fill(&server, "A", 101..=TICKS / 2).await;
    server.end();
    let old = files(folder.path());
    assert!(old.len() > 1, "{old:?}");
    let server = TestServer::on_disk(folder.path(), &hour);
    let mut reader = back(&server, "?mode=all", &early_cursor).await;
    let next = reader.until(|event| event.event == "tick").await;
    assert_eq!(data(&next)["n"], 51, "no tick has been dropped yet");
    // Set the modification time of all segments but the last to two hours ago.
    let (last, old) = old.split_last().unwrap();
    let before = SystemTime::now() - Duration::from_secs(7200);
    for path in old {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(before)
            .unwrap();
    }
    // A segment becomes full. Then the server looks for segments that are too old.
    fill(&server, "A", TICKS / 2 + 1..=TICKS).await;
    let gone = |paths: &[PathBuf]| paths.iter().all(|path| !path.exists());
    eventually(async || gone(old)).await;
    assert_eq!(
        &files(folder.path())[0],
        last,
        "the server must drop no other segment"
    );
    check_expired(
        &server,
        &early_cursor,
        &format!("tick A {TICKS}={TICKS}.50 @{TICKS}"),
    )
    .await;
    let first: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    check_remaining(&server, first - 1).await;
}
