//! The tape on disk: restarts, kills, and damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::resumable::{back, cursor_at, data, open, short, up_to};
use crate::server::{TOKEN, TestServer, eventually, tickcast};

pub(crate) fn lines(symbol: &str, prices: std::ops::RangeInclusive<u64>) -> String {
    prices
        .map(|n| format!("{{\"symbol\":\"{symbol}\",\"price\":{n}.50}}\n"))
        .collect()
}

pub(crate) async fn fill(server: &TestServer, symbol: &str, prices: std::ops::RangeInclusive<u64>) {
    let count = prices.clone().count();
    let (status, answer) = server
        .post_as("application/x-ndjson", lines(symbol, prices))
        .await;
    assert_eq!(
        (status, answer["accepted"].as_u64()),
        (200, Some(count as u64)),
        "{answer}"
    );
}

/// Runs a command that must fail. Returns its exit code and its error output.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tickcast(arguments).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Returns the files of the tape, oldest first.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "ticks")
    });
    files.sort();
    files
}

#[tokio::test]
async fn a_restart_continues_where_the_server_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = TestServer::on_disk(folder.path(), &[]);
    server.publish(&[("A", "1"), ("B", "2.50")]).await;
    let tick = r#"{"symbol":"C","price":"0.10","prev_close":0.08,"bid":0.09,"note":"é\n","time":1782907200123}"#;
    assert_eq!(server.post(tick).await.0, 200);
    let (_, before) = server.get("/v1/prices").await;
    let cursor = before["cursor"].as_str().unwrap().to_owned();
    server.signal("-TERM");
    assert!(server.wait().success());
    for round in 1..=4 {
        let mut server = TestServer::on_disk(folder.path(), &["--tape-ticks", "2"]);
        assert_eq!(server.get("/v1/prices").await.1, before, "round {round}");
        let (_, symbols) = server.get("/v1/symbols").await;
        assert_eq!(
            symbols["symbols"][2]["state"], "stale",
            "no source has sent a price since"
        );
        assert_eq!(
            (
                &symbols["symbols"][2]["reference"],
                &symbols["symbols"][2]["ticks"]
            ),
            (&json!(0.08), &json!(1))
        );
        let mut reader = back(&server, "?mode=all", &cursor).await;
        let stale = [
            "symbol A stale @3",
            "symbol B stale @3",
            "symbol C stale @3",
        ];
        let seen = up_to(&mut reader, "ready").await;
        assert_eq!(
            (&seen[..3], &seen[3..]),
            (&stale.map(str::to_owned)[..], &["ready @3".to_owned()][..])
        );
        let mut reader = open(&server, "?mode=all&since=start").await;
        let all = up_to(&mut reader, "ready").await;
        assert_eq!(
            all[3..],
            [
                "tick A 1=1 @1",
                "tick B 1=2.50 @2",
                "tick C 1=0.10 @3",
                "ready @3"
            ]
        );
        if round % 2 == 0 {
            server.kill();
        } else {
            server.signal("-TERM");
            server.wait();
        }
    }
    let server = TestServer::on_disk(folder.path(), &[]);
    server.publish(&[("A", "9")]).await;
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 2);
    assert_eq!(
        server.get("/v1/prices/A").await.1["change"],
        8,
        "the change counts from the first price of the day"
    );
}

/// A removed symbol counts against the maximum number of symbols until it is forgotten.
#[tokio::test]
async fn a_removed_symbol_is_forgotten_at_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let two = ["--max-symbols", "2"];
    let server = TestServer::on_disk(folder.path(), &two);
    server.publish(&[("A", "1"), ("B", "2")]).await;
    let cursor = cursor_at(&server, 2).await;
    let removed = server
        .http
        .delete(format!("{}/v1/prices/B", server.public))
        .bearer_auth(TOKEN);
    assert_eq!(removed.send().await.unwrap().status(), 204);
    // A stream stopped here, in the middle of a run of latest values.
    let within_run = server.get("/v1/status").await.1["cursor"].clone();
    let within_run = within_run.as_str().unwrap().replace("-3.", "-2_3.");
    server.end();
    let other = r#"{"symbol":"C","price":"3"}"#;
    let server = TestServer::on_disk(folder.path(), &two);
    assert_eq!(
        server.post(other).await.0,
        422,
        "B has its place for 30 days"
    );
    server.end();
    let forget = ["--max-symbols", "2", "--forget", "1ms"];
    let server = TestServer::on_disk(folder.path(), &forget);
    assert_eq!(server.post(other).await.0, 200);
    let (_, symbols) = server.get("/v1/symbols").await;
    assert_eq!(symbols["symbols"].as_array().unwrap().len(), 2, "{symbols}");
    // Readers from before the removal: the newest values without B, or every entry.
    for cursor in [&cursor, &within_run] {
        let mut reader = back(&server, "", cursor).await;
        let seen = up_to(&mut reader, "ready").await;
        assert_eq!(
            seen[seen.len() - 3..],
            ["tick A 1=1 @1", "tick C 1=3 @4", "ready @4"]
        );
    }
    let mut reader = back(&server, "?mode=all", &cursor).await;
    let seen = up_to(&mut reader, "ready").await;
    assert_eq!(
        seen[seen.len() - 3..],
        ["gone B @3", "tick C 1=3 @4", "ready @4"]
    );
}

#[tokio::test]
async fn readers_resume_across_a_restart_beyond_the_tape_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--tape-ticks", "100", "--retention-bytes", "16777216"];
    let server = TestServer::on_disk(folder.path(), &small);
    fill(&server, "A", 1..=20_000).await;
    fill(&server, "B", 1..=10).await;
    server.kill();
    let server = TestServer::on_disk(folder.path(), &small);
    fill(&server, "A", 20_001..=40_000).await;
    let last = cursor_at(&server, 5000).await;
    let other = format!("{}-5000.{}", crate::resumable::epoch(&server).await, "____");
    // After a `reset`, earlier statuses no longer hold. The server sends every state that is not
    // live again.
    for (query, stale) in [("?mode=all&symbols=A", 0), ("?mode=all", 1)] {
        let mut reader = back(&server, query, &other).await;
        let reset = loop {
            let event = reader.event().await.unwrap();
            if event.event != "status" {
                break event;
            }
        };
        assert_eq!(
            short(&reset),
            "reset epoch @0",
            "the check of the cursor does not match the tape on disk"
        );
        assert_eq!(data(&reset)["last"], other.as_str());
        let events = up_to(&mut reader, "ready").await;
        let events = events
            .iter()
            .filter(|event| event.starts_with("symbol B stale"));
        assert_eq!(events.count(), stale, "{query}");
    }
    for (query, first) in [("?mode=all&symbols=A", 5001), ("?mode=all", 5001)] {
        let mut reader = back(&server, query, &last).await;
        for n in first..=40_000 {
            let mut event = reader.event().await.unwrap();
            while data(&event)["symbol"] == "B" {
                event = reader.event().await.unwrap();
            }
            assert_eq!(
                (event.event.as_str(), data(&event)["n"].as_u64()),
                ("tick", Some(n))
            );
        }
        let ready = reader.event().await.unwrap();
        assert_eq!(
            (short(&ready).as_str(), data(&ready)["resumed"].as_bool()),
            ("ready @40010", Some(true))
        );
    }
    let last = cursor_at(&server, 40_009).await;
    let mut reader = back(&server, "?mode=all", &last).await;
    assert_eq!(
        up_to(&mut reader, "ready").await.len(),
        3,
        "expected the stale status of B, a tick and `ready`"
    );
    server.publish(&[("C", "1")]).await;
    assert_eq!(
        short(&reader.event().await.unwrap()),
        "tick C 1=1 @40011",
        "after `ready` the stream is live"
    );
    let mut reader = open(&server, "?mode=all&since=start&symbols=B").await;
    assert_eq!(up_to(&mut reader, "ready").await.len(), 12);
}

#[tokio::test]
async fn acknowledged_ticks_survive_a_kill() {
    for round in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let server = Arc::new(TestServer::on_disk(folder.path(), &["--sync", "always"]));
        let answered = Arc::new(AtomicU64::new(0));
        let (publisher, count) = (Arc::clone(&server), Arc::clone(&answered));
        let flood = tokio::spawn(async move {
            for batch in 0.. {
                let body = lines("A", batch * 500 + 1..=(batch + 1) * 500);
                let request = publisher
                    .http
                    .post(format!("{}/v1/prices", publisher.public))
                    .bearer_auth(TOKEN);
                let Ok(answer) = request
                    .header("content-type", "application/x-ndjson")
                    .body(body)
                    .send()
                    .await
                else {
                    return;
                };
                if answer.status() == 200 {
                    count.store((batch + 1) * 500, Ordering::SeqCst);
                }
            }
        });
        eventually(async || answered.load(Ordering::SeqCst) > 3000 + round * 2000).await;
        server.signal("-KILL");
        flood.await.unwrap();
        drop(server);
        let server = TestServer::on_disk(folder.path(), &[]);
        let n = server.get("/v1/prices/A").await.1["n"].as_u64().unwrap();
        assert!(n >= answered.load(Ordering::SeqCst), "{n} of {answered:?}");
        assert_eq!(
            server.get("/v1/status").await.1["disk"]["ticks"].as_u64(),
            Some(n)
        );
    }
}

#[tokio::test]
async fn damage_stops_the_start_and_the_error_names_the_repair_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    for from in 0..50 {
        fill(&server, "A", from * 20 + 1..=(from + 1) * 20).await;
    }
    let epoch = crate::resumable::epoch(&server).await;
    let (code, stderr) = fails(&[
        "serve",
        "--data",
        dir,
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    assert_eq!(
        (code, stderr.contains("is in use by another process")),
        (Some(1), true),
        "{stderr}"
    );
    server.kill();

    let path = &files(folder.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let middle = 40_000;
    bytes[middle] ^= 4;
    std::fs::write(path, &bytes).unwrap();
    let serve = [
        "serve",
        "--data",
        dir,
        "--source",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let (code, stderr) = fails(&serve);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(name)
            && stderr.contains(" is damaged at byte ")
            && stderr.contains("the checksum of the block is wrong"),
        "{stderr}"
    );
    assert!(
        stderr.contains(&format!("`tickcast tape repair {dir}`")),
        "{stderr}"
    );
    assert_eq!(fails(&["tape", "check", dir]).0, Some(1));
    let repair = tickcast(&["tape", "repair", dir]).output().unwrap();
    let stdout = String::from_utf8(repair.stdout).unwrap();
    assert!(
        repair.status.success()
            && stdout.contains(&format!("set aside: {}.damaged", path.display())),
        "{stdout}"
    );
    let check = tickcast(&["tape", "check", dir]).output().unwrap();
    assert!(check.status.success());

    let server = TestServer::on_disk(folder.path(), &[]);
    let n = server.get("/v1/prices/A").await.1["n"].as_u64().unwrap();
    assert!((1..1000).contains(&n));
    let mut reader = back(&server, "?mode=all", &format!("{epoch}-1000.AAAA")).await;
    assert_eq!(
        short(&reader.event().await.unwrap()),
        "reset epoch @0",
        "a repair starts a new epoch"
    );
}

/// Returns all files of a folder with their content and the time of their last change.
fn contents(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| {
            (
                path.clone(),
                path.metadata().unwrap().modified().unwrap(),
                std::fs::read(path).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn tape_commands_leave_a_folder_without_a_tape_unchanged() {
    let parent = tempfile::tempdir().unwrap();
    let [missing, strange] = ["missing", "strange"].map(|name| parent.path().join(name));
    std::fs::create_dir(&strange).unwrap();
    std::fs::write(strange.join("notes.new"), "mine").unwrap();
    for command in ["check", "repair"] {
        for folder in [&missing, &strange] {
            let dir = folder.to_str().unwrap();
            let stderr = format!("tickcast: there is no tape in {dir}\n");
            assert_eq!(
                fails(&["tape", command, dir]),
                (Some(2), stderr),
                "{command}"
            );
        }
    }
    assert!(!missing.exists());
    assert_eq!(
        std::fs::read_dir(&strange).unwrap().count(),
        1,
        "the command adds no lock and removes no file"
    );
}

#[tokio::test]
async fn tape_check_changes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    fill(&server, "A", 1..=10).await;
    let (code, stderr) = fails(&["tape", "check", dir]);
    assert!(
        code == Some(1) && stderr.contains("is in use by another process"),
        "{stderr}"
    );
    server.kill();
    // A copy has no lock file. A crash leaves a `state.json.new` behind.
    std::fs::remove_file(folder.path().join("lock")).unwrap();
    std::fs::write(folder.path().join("state.json.new"), "{").unwrap();
    let before = contents(folder.path());
    let check = tickcast(&["tape", "check", dir]).output().unwrap();
    assert_eq!(
        String::from_utf8(check.stdout).unwrap(),
        "10 ticks in 1 files, 1 to 10\n"
    );
    assert!(contents(folder.path()) == before);
}

#[tokio::test]
async fn an_incomplete_last_block_is_dropped_and_logged() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    for n in 1..=10 {
        fill(&server, "A", n..=n).await;
    }
    let cursor = server.get("/v1/status").await.1["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    server.kill();
    let path = &files(folder.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 10..].fill(0);
    std::fs::write(path, &bytes).unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    server.wait_for_log("a crash cut off the end of the tape at byte ");
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 9);
    // A reader has received the tenth tick. Its cursor is ahead of the tape, so the server sends a
    // `reset`.
    let mut reader = back(&server, "?mode=all", &cursor).await;
    assert_eq!(short(&reader.event().await.unwrap()), "reset invalid @0");
}

#[tokio::test]
async fn an_export_contains_every_tick() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &["--tape-ticks", "50"]);
    const BEGIN: usize = 1_700_000_001_000;
    let lines: String = (1..=5000)
        .map(|n| {
            format!(
                "{{\"symbol\":\"{}\",\"price\":{n}.10,\"time\":{},\"bid\":{n}}}\n",
                ["A", "B"][n % 2],
                BEGIN + n
            )
        })
        .collect();
    server.post_as("application/x-ndjson", lines).await;
    server
        .post(r#"{"symbol":"A","price":1,"time":1700000009000,"note":"x,\"y\""}"#)
        .await;
    let text = async |path: &str| {
        let answer = server
            .http
            .get(format!("{}{path}", server.public))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        (
            answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned(),
            answer.text().await.unwrap(),
        )
    };
    let (kind, ndjson) = text("/v1/ticks/A").await;
    let ticks: Vec<Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((kind.as_str(), ticks.len()), ("application/x-ndjson", 2501));
    assert!(
        ticks
            .iter()
            .enumerate()
            .all(|(i, tick)| tick["n"] == i + 1 && tick["symbol"] == "A")
    );
    let (kind, csv) = text("/v1/ticks/A?format=csv&from=2023-11-14T22:13:25.990Z").await;
    let rows: Vec<_> = csv.lines().collect();
    assert_eq!(kind, "text/csv; charset=utf-8");
    assert_eq!(rows[0], "symbol,price,change,change_pct,time,n,extras");
    assert!(
        rows[1].starts_with("A,4990.10,")
            && rows[1].ends_with(",1700000005990,2495,\"{\"\"bid\"\":4990}\""),
        "{}",
        rows[1]
    );
    assert_eq!(rows.len(), 1 + 6 + 1);
    assert!(
        rows[7].ends_with(r#","{""note"":""x,\""y\""""}""#),
        "{}",
        rows[7]
    );
    assert_eq!(
        text("/v1/ticks/A?to=1700000001010").await.1.lines().count(),
        5
    );
    // An exported file can be replayed.
    for (name, body) in [
        ("a.csv", text("/v1/ticks/A?format=csv").await.1),
        ("a.ndjson", ndjson),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, body).unwrap();
        let other =
            TestServer::with(&["--source", &format!("replay:{}?speed=max", file.display())]);
        other.wait_for_log("source ended");
        assert_eq!(
            other.get("/v1/prices/A").await.1,
            server.get("/v1/prices/A").await.1,
            "{name}"
        );
    }
    for (path, parameter) in [
        ("/v1/ticks/A?format=xml", "format"),
        ("/v1/ticks/A?from=x", "from"),
        ("/v1/ticks/A?to=-1", "to"),
        ("/v1/ticks/NOT", "symbol"),
    ] {
        let (status, problem) = server.get(path).await;
        assert!(
            [400, 404].contains(&status) && problem["parameter"] == parameter,
            "{problem}"
        );
    }
}

#[tokio::test]
async fn prices_from_before_a_restart_are_stale_until_the_next_tick() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    server.publish(&[("A", "1"), ("B", "2")]).await;
    server.kill();
    let server = TestServer::on_disk(folder.path(), &[]);
    let stale = ["symbol A stale @-", "symbol B stale @-"];
    let mut reader = open(&server, "").await;
    assert_eq!(
        up_to(&mut reader, "ready").await,
        [
            stale[0],
            stale[1],
            "tick A 1=1 @1",
            "tick B 1=2 @2",
            "ready @2"
        ]
    );
    server.publish(&[("A", "3")]).await;
    let events =
        [reader.event().await.unwrap(), reader.event().await.unwrap()].map(|event| short(&event));
    assert_eq!(events, ["tick A 2=3 @3", "symbol A live @3"]);
    // A new reader receives only the statuses that are still not live.
    let mut late = open(&server, "?symbols=A,B").await;
    assert_eq!(
        up_to(&mut late, "tick").await,
        ["symbol B stale @-", "tick B 1=2 @2"]
    );
    let mut other = open(&server, "?symbols=A").await;
    assert_eq!(
        up_to(&mut other, "ready").await,
        ["tick A 2=3 @3", "ready @3"]
    );
}
