//! `tickcast record`, and the client library that `record` uses.

use std::process::Stdio;

use tickcast_client::{Event, Mode, PriceStream};

use crate::server::{TIMEOUT, TestServer, tickcast};

/// Returns the next events of a client, up to the first event for which `condition` is true.
async fn until(prices: &mut PriceStream, condition: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event| !condition(event)) {
        seen.push(
            tokio::time::timeout(TIMEOUT, prices.next())
                .await
                .expect("no event arrived")
                .unwrap(),
        );
    }
    seen
}

fn numbers(events: &[Event]) -> Vec<u64> {
    let tick = |event: &Event| {
        if let Event::Tick(tick) = event {
            Some(tick.n)
        } else {
            None
        }
    };
    events.iter().filter_map(tick).collect()
}

#[tokio::test]
async fn the_client_resumes_across_restarts_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = TestServer::on_disk(folder.path(), &[]);
    let address = server.public.clone();
    server.publish(&[("A", "1"), ("A", "2")]).await;
    let mut prices = PriceStream::builder(&address)
        .symbols(["A"])
        .mode(Mode::All)
        .since("start")
        .try_build()
        .unwrap();
    let mut seen = until(&mut prices, |event| matches!(event, Event::Ready(_))).await;
    for round in 0..3 {
        server.publish(&[("A", "3"), ("A", "4")]).await;
        if round == 1 {
            server.end();
        } else {
            server.kill();
        }
        seen.extend(until(&mut prices, |event| matches!(event, Event::Disconnected(_))).await);
        server = TestServer::restarted(folder.path(), &address);
        seen.extend(
            until(
                &mut prices,
                |event| matches!(event, Event::Ready(ready) if ready.resumed),
            )
            .await,
        );
    }
    assert_eq!(numbers(&seen), (1..=8).collect::<Vec<_>>());
    assert!(
        !seen
            .iter()
            .any(|event| matches!(event, Event::Reset { .. }))
    );
}

#[tokio::test]
async fn the_client_does_not_retry_a_refused_request() {
    let server = TestServer::start();
    let mut prices = PriceStream::builder(&server.public)
        .symbols(["A B"])
        .try_build()
        .unwrap();
    let error = prices.next().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "400: symbols: entry 1: symbol holds ' '; allowed are A-Z a-z 0-9 . _ - / : ^ = &"
    );
    assert!(PriceStream::builder("no url").try_build().is_err());
}

/// Checks that no file is left, so that the user can correct the mistake and run the same command
/// again.
#[tokio::test]
async fn a_recording_that_never_starts_leaves_no_file() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.ndjson", "a.ndjson.zst"] {
        let file = folder.path().join(name);
        let arguments = [
            "record",
            file.to_str().unwrap(),
            "--url",
            &server.public,
            "--since",
            "yesterday",
        ];
        let child = tickcast(&arguments).stdin(Stdio::null()).spawn().unwrap();
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
            .await
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains("since"),
            "{stderr}"
        );
        assert!(!file.exists(), "{name}");
    }
}

#[tokio::test]
async fn a_recording_can_be_replayed_and_published() {
    let server = TestServer::with(&["--source", "sim:3?rate=5000"]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["day.ndjson", "day.ndjson.zst"] {
        let file = folder.path().join(name);
        let path = file.to_str().unwrap().to_owned();
        let mut command = tickcast(&[
            "record",
            &path,
            "--url",
            &server.public,
            "--ticks",
            "3000",
            "BTC*",
            "AAPL",
        ]);
        let output = command.stdin(Stdio::null());
        let output = tokio::task::spawn_blocking({
            let child = output.spawn().unwrap();
            move || child.wait_with_output().unwrap()
        })
        .await
        .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && stderr.contains("3000 ticks recorded, up to "),
            "{stderr}"
        );
        let replayed = TestServer::with(&["--source", &format!("replay:{path}?speed=max")]);
        replayed.wait_for_log("source ended");
        let (_, status) = replayed.get("/v1/status").await;
        let source = status["sources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|source| source["name"] != "http")
            .unwrap();
        assert_eq!(
            (&source["accepted"], &source["rejected"]),
            (&3000.into(), &0.into()),
            "{status}"
        );
        let published = TestServer::start();
        let mut command = tickcast(&[
            "publish",
            &path,
            "--url",
            &published.public,
            "--token",
            crate::server::TOKEN,
        ]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(stdout, "3000 accepted, 0 late, 0 unchanged, 0 rejected\n");
        let second = tickcast(&["record", &path, "--url", &server.public])
            .output()
            .unwrap();
        let stderr = String::from_utf8(second.stderr).unwrap();
        assert_eq!(
            second.status.code(),
            Some(2),
            "record must not overwrite a file"
        );
        assert!(
            stderr.contains("exists, and a recording never overwrites a file; choose another file"),
            "{stderr}"
        );
    }
}
