//! A tape that cannot be written: its disk is full, or its folder is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fakes::skipped;
use serde_json::{Value, json};

use crate::disk::lines;
use crate::resumable::{open, short, up_to};
use crate::server::{TOKEN, TestServer, eventually, tickcast};

/// Returns whether the metrics report that publishing works.
async fn can_publish(server: &TestServer) -> bool {
    let metrics = server
        .http
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap();
    let text = metrics.text().await.unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("tickcast_can_publish "))
        .unwrap();
    value == "1"
}

/// Starts a server with its tape on a disk of 7 MB. Returns `None` if this user cannot create such
/// a disk.
fn on_small_disk(folder: &Path) -> Option<TestServer> {
    let dir = folder.to_str().unwrap();
    let possible = ["--user", "--map-root-user", "--mount", "sh", "-c"];
    let mount = format!("mount -t tmpfs -o size=7m tickcast {dir}");
    let mounted = Command::new("unshare")
        .args(possible)
        .arg(&mount)
        .stderr(Stdio::null())
        .status();
    mounted.is_ok_and(|status| status.success()).then_some(())?;
    let program = tickcast(&[]);
    let serve = format!(
        "{mount} && exec {} serve --source none --publish-token {TOKEN} --data {dir} --retention-bytes 33554432 \
         --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log-format json",
        program.get_program().to_str().unwrap()
    );
    let mut command = Command::new("unshare");
    command
        .args(possible)
        .arg(serve)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Some(TestServer::launch(command))
}

#[tokio::test]
async fn a_full_disk_rejects_ticks_but_serves_readers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = on_small_disk(folder.path()) else {
        return skipped(
            "unwritable::a_full_disk_rejects_ticks_but_serves_readers",
            "no mount namespaces for this user",
        );
    };
    // The folder as the mount namespace of the server sees it.
    let inside = PathBuf::from(format!(
        "/proc/{}/root{}",
        server.pid(),
        folder.path().display()
    ));
    let ballast = inside.join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let mut reader = open(&server, "?mode=all&symbols=B").await;
    up_to(&mut reader, "ready").await;
    let mut accepted = 0;
    let problem = loop {
        let (status, answer) = server
            .post_as(
                "application/x-ndjson",
                lines("A", accepted + 1..=accepted + 1000),
            )
            .await;
        accepted += answer["accepted"].as_u64().unwrap();
        if status != 200 {
            assert_eq!(status, 507);
            break answer;
        }
    };
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the disk is full"),
        "{problem}"
    );
    server.wait_for_log("the disk is full: nothing is published until there is room");
    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready["ready"]), (503, &json!(false)), "{ready}");
    let why = ready["reasons"][0].as_str().unwrap();
    assert!(
        why.contains("publishing fails") && why.contains("the disk is full"),
        "{why}"
    );
    assert!(!can_publish(&server).await);
    assert_eq!(
        server.get("/v1/prices/A").await.1["n"].as_u64(),
        Some(accepted),
        "readers must still be served"
    );
    let mut history_reader = open(&server, "?mode=all&since=start&symbols=A").await;
    assert_eq!(
        up_to(&mut history_reader, "ready").await.len() as u64,
        accepted + 1,
        "the history must still be served"
    );

    let keyed = async || {
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        let request = request
            .header("idempotency-key", "k")
            .header("content-type", "application/x-ndjson");
        let answer = request
            .body("{\"symbol\":\"B\",\"price\":1.50}\n{\"symbol\":\"B\"}\n")
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(keyed().await.0, 507);

    std::fs::remove_file(ballast).unwrap();
    // The server asks the disk ten times a second.
    let ready = (200, json!({"ready": true, "reasons": []}));
    eventually(async || server.get("/readyz").await == ready).await;
    assert!(can_publish(&server).await);
    let (status, answer) = keyed().await;
    assert_eq!(
        (status, &answer["accepted"], &answer["rejected_count"]),
        (200, &json!(1), &json!(1)),
        "{answer}"
    );
    server.wait_for_log("there is room on the disk again");
    assert_eq!(
        short(&reader.event().await.unwrap()),
        format!("tick B 1=1.50 @{}", accepted + 1)
    );
}

#[tokio::test]
async fn a_missing_tape_folder_rejects_ticks_and_fails_readiness() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tape");
    let server = TestServer::on_disk(&folder, &[]);
    server.publish(&[("A", "1")]).await;
    assert_eq!(server.get("/readyz").await.0, 200);
    std::fs::rename(&folder, parent.path().join("elsewhere")).unwrap();
    eventually(async || server.get("/readyz").await.0 == 503).await;
    let (_, ready) = server.get("/readyz").await;
    let why = ready["reasons"][0].as_str().unwrap();
    assert!(
        why.contains("publishing fails") && why.contains("the tape's folder was deleted or moved"),
        "{why}"
    );
    let (status, problem) = server.post(r#"{"symbol":"A","price":2}"#).await;
    assert_eq!(status, 507, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the tape's folder was deleted or moved"),
        "{problem}"
    );
    assert!(!can_publish(&server).await);
    assert_eq!(
        server.get("/v1/prices/A").await.1["n"],
        1,
        "readers must still be served"
    );
}
