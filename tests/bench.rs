//! `tickcast bench` against the server of the same program.

use serde_json::Value;

use crate::server::{TestServer, tickcast};

/// Runs one benchmark and returns its report.
async fn bench(server: &TestServer, arguments: &[&str]) -> Value {
    let pid = server.pid().to_string();
    let mut command = tickcast(&[
        "bench",
        "--json",
        "--token",
        "test-token",
        "--warm-up",
        "200ms",
    ]);
    command
        .args(["--url", &server.public, "--pid", &pid, "--seconds", "500ms"])
        .args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_accounts_for_every_tick() {
    let server = TestServer::start();
    let load = [
        "--streams",
        "20",
        "--symbols",
        "10",
        "--symbols-per-stream",
        "3",
        "--rate",
        "1000",
    ];
    let report = bench(&server, &load).await;
    // 500 ticks, 50 of each symbol, for 20 streams of 3 symbols.
    assert_eq!(report["expected"], 3000, "{report}");
    assert_eq!(
        (&report["missing"], &report["disordered"], &report["lost"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(report["latency"]["p99"].as_f64().unwrap() > 0.0, "{report}");
    assert!(
        report["server"]["resident"][2].as_u64().unwrap() > 1 << 20,
        "{report}"
    );
    // The market is no longer empty, and some of its readers do not read.
    let report = bench(
        &server,
        &["--streams", "20", "--stalled", "5", "--symbols", "10"],
    )
    .await;
    assert_eq!(
        (&report["streams"], &report["stalled"], &report["missing"]),
        (&15.into(), &5.into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_counts_accepted_ticks_and_opened_streams() {
    let server = TestServer::start();
    let report = bench(&server, &["--flood"]).await;
    let accepted = report["accepted"].as_u64().unwrap();
    assert!(accepted > 0, "{report}");
    let (_, status) = server.get("/v1/status").await;
    let head = status["cursor"]
        .as_str()
        .and_then(|cursor| cursor.split_once('-'))
        .unwrap()
        .1;
    let head = head.split('.').next().unwrap();
    let head: u64 = head.parse().unwrap();
    assert!(
        head > accepted,
        "only the server counts the ticks of the warm-up: {status}"
    );
    let report = bench(&server, &["--churn", "--symbols-per-stream", "5"]).await;
    assert!(report["opened"].as_u64().unwrap() > 0, "{report}");
    server.wait_for_streams(0).await;
}

#[test]
fn bench_rejects_impossible_settings_by_name() {
    for (arguments, expected) in [
        (
            ["--url", "https://localhost:1"],
            "--url https://localhost:1: the scheme is not http (expected a plain http:// address)",
        ),
        (
            ["--symbols-per-stream", "101"],
            "--symbols-per-stream is more than the number of symbols (100)",
        ),
        (
            ["--stalled", "1001"],
            "--stalled is more than the number of streams (1000)",
        ),
        (["--rate", "1e9"], "expected 0 to 10000000 ticks per second"),
        (["--sample-every", "0"], "expected a positive integer"),
    ] {
        let output = tickcast(&["bench"]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let output = tickcast(&["bench", "--url", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the publisher cannot connect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_reports_a_missing_token_immediately() {
    let server = TestServer::start();
    let mut command = tickcast(&["bench", "--url", &server.public]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("the publish request was answered with \"HTTP/1.1 401 Unauthorized\""),
        "{error}"
    );
}
