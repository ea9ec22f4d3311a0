//! A disk that is slow or that fails. No client may see what the disk does not have.

use std::path::{Path, PathBuf};
use std::process::Command;

use fakes::skipped;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::resumable::{open, short, up_to};
use crate::server::{TOKEN, TestServer, eventually, serving};

/// Numbers of errors of Linux: an error of the device, no space on the device.
const DEVICE_ERROR: u32 = 5;
const NO_SPACE: u32 = 28;

/// A server whose disk fails on demand.
struct FaultyDisk {
    server: TestServer,
    /// The folder that says what goes wrong.
    faults: TempDir,
    tape: TempDir,
}

/// Returns the library that makes a disk fail, or `None` if there is no compiler for C.
fn library(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faulty_disk.c");
    let library = folder.join("faulty_disk.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let compiled = compiler.arg(source).arg("-ldl").status();
    compiled
        .is_ok_and(|status| status.success())
        .then_some(library)
}

impl FaultyDisk {
    fn start(test: &str) -> Option<Self> {
        let (faults, tape) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(library) = library(faults.path()) else {
            skipped(test, "no compiler for C");
            return None;
        };
        let mut command = serving("127.0.0.1:0");
        command
            .args(["--source", "none", "--data"])
            .arg(tape.path());
        command.env("LD_PRELOAD", library);
        command.env("FAULTY_DISK", faults.path());
        Some(Self {
            server: TestServer::launch(command),
            faults,
            tape,
        })
    }

    fn set(&self, fault: &str, value: u32) {
        // The server must not read half of a number.
        let new = self.faults.path().join("new");
        std::fs::write(&new, value.to_string()).unwrap();
        std::fs::rename(new, self.faults.path().join(fault)).unwrap();
    }

    fn clear(&self, fault: &str) {
        std::fs::remove_file(self.faults.path().join(fault)).unwrap();
    }
}

/// A disk without space refuses a write although its space was reserved: some file systems do that.
#[tokio::test]
async fn a_refused_write_shows_nothing_and_the_server_goes_on() {
    let test = "faulty_disk::a_refused_write_shows_nothing_and_the_server_goes_on";
    let Some(disk) = FaultyDisk::start(test) else {
        return;
    };
    let server = &disk.server;
    server.publish(&[("A", "1")]).await;
    let mut reader = open(server, "?mode=all&symbols=A,B").await;
    up_to(&mut reader, "ready").await;
    let before = server.get("/v1/prices").await;

    disk.set("write", NO_SPACE);
    for _ in 0..3 {
        let body = r#"[{"symbol":"A","price":2},{"symbol":"B","price":3}]"#;
        let (status, answer) = server.post(body).await;
        assert_eq!((status, &answer["accepted"]), (507, &json!(0)), "{answer}");
    }
    assert_eq!(keyed(server).await.0, 507);
    assert_eq!(server.get("/v1/prices").await, before);
    assert_eq!(server.get("/v1/prices/B").await.0, 404);
    // A pattern that matches the symbol that was taken back waits for it.
    let mut newcomer = open(server, "?symbols=B*,A*").await;
    let seen = up_to(&mut newcomer, "ready").await;
    assert!(
        seen[0].starts_with("tick A 1=1 ") && seen.len() == 2,
        "{seen:?}"
    );
    disk.clear("write");
    eventually(async || server.get("/readyz").await.0 == 200).await;
    // The refused request is not known, and the one that succeeds is published once.
    let (status, answer) = keyed(server).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
    assert_eq!(keyed(server).await, (status, answer));
    assert_eq!(server.get("/v1/prices/C").await.1["n"], 1);
    server.publish(&[("A", "4"), ("B", "5")]).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(short(&reader.event().await.unwrap()));
    }
    assert_eq!(seen, ["tick A 2=4 @3", "tick B 1=5 @4"]);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(short(&newcomer.event().await.unwrap()));
    }
    assert_eq!(seen, ["tick A 2=4 @3", "tick B 1=5 @4"]);
    let candles = server.get("/v1/candles/A?interval=1d").await.1;
    assert_eq!(candles["candles"][0]["high"], 4, "{candles}");
    assert_eq!(candles["candles"][0]["count"], 2, "{candles}");

    let FaultyDisk { server, tape, .. } = disk;
    let now = server.get("/v1/prices").await;
    let url = server.public.clone();
    server.kill();
    let again = TestServer::restarted(tape.path(), &url);
    assert_eq!(again.get("/v1/prices").await, now);
}

/// Publishes a tick of `C` with a key.
async fn keyed(server: &TestServer) -> (u16, Value) {
    let request = server.http.post(format!("{}/v1/prices", server.public));
    let request = request.bearer_auth(TOKEN).header("idempotency-key", "k");
    let request = request.body(r#"{"symbol":"C","price":7}"#);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// After an error of the device, nobody knows what the disk has. Publishing stops until a restart.
#[tokio::test]
async fn a_broken_disk_stops_publishing_and_readers_stay() {
    let test = "faulty_disk::a_broken_disk_stops_publishing_and_readers_stay";
    let Some(disk) = FaultyDisk::start(test) else {
        return;
    };
    let server = &disk.server;
    server.publish(&[("A", "1")]).await;
    let before = server.get("/v1/prices").await;
    disk.set("write", DEVICE_ERROR);
    assert_eq!(server.post(r#"{"symbol":"A","price":2}"#).await.0, 507);
    disk.clear("write");
    let (status, answer) = server.post(r#"{"symbol":"A","price":3}"#).await;
    assert_eq!(status, 507, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("cannot be written any more"), "{detail}");
    assert_eq!(server.get("/v1/prices").await, before);
    let mut reader = open(server, "?symbols=A").await;
    let seen = up_to(&mut reader, "ready").await;
    assert!(seen[0].starts_with("tick A 1=1 "), "{seen:?}");

    let FaultyDisk { server, tape, .. } = disk;
    let url = server.public.clone();
    server.kill();
    let again = TestServer::restarted(tape.path(), &url);
    assert_eq!(again.get("/v1/prices/A").await.1["price"], 1);
    again.publish(&[("A", "4")]).await;
}

/// While a write takes long, its publisher waits. All others are served, with what the disk has.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_delays_publishers_only() {
    let test = "faulty_disk::a_slow_disk_delays_publishers_only";
    let Some(disk) = FaultyDisk::start(test) else {
        return;
    };
    let server = &disk.server;
    server.publish(&[("A", "1")]).await;
    let mut reader = open(server, "?symbols=A&heartbeat=3").await;
    up_to(&mut reader, "ready").await;
    let before = server.get("/v1/prices").await;

    disk.set("write-waits", 1);
    let requests: Vec<_> = (0..20)
        .map(|number| {
            let body = format!(r#"{{"symbol":"A","price":{}}}"#, number + 2);
            let request = server.http.post(format!("{}/v1/prices", server.public));
            let request = request.bearer_auth(TOKEN).body(body);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    // A heartbeat comes although the disk is busy.
    assert!(short(&reader.event().await.unwrap()).starts_with("heartbeat"));
    assert_eq!(server.get("/v1/prices").await, before);
    assert_eq!(server.get("/v1/candles/A").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert!(requests.iter().all(|request| !request.is_finished()));
    let mut newcomer = open(server, "?symbols=A").await;
    let seen = up_to(&mut newcomer, "ready").await;
    assert!(seen[0].starts_with("tick A 1=1 "), "{seen:?}");

    disk.clear("write-waits");
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 21);
}

/// Confirmations that take long delay no tick, also when segments end.
#[tokio::test]
async fn slow_confirmations_delay_no_tick() {
    let test = "faulty_disk::slow_confirmations_delay_no_tick";
    let Some(disk) = FaultyDisk::start(test) else {
        return;
    };
    let server = &disk.server;
    // Whoever waits for a confirmation waits longer than the client of this test.
    disk.set("sync-ms", 600_000);
    for price in 1..=50 {
        server.publish(&[("A", &price.to_string())]).await;
    }
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 50);
}
