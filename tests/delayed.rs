//! Delayed readers: on no route do they see anything newer than their delay.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::client::Reader;
use crate::resumable::{data, short, up_to};
use crate::server::{TestServer, eventually, tickcast};
use crate::tokens::{SECRET, claims, file, path, signed};

/// The delay of the server, in seconds.
const DELAY: u64 = 2;

fn config() -> NamedTempFile {
    config_of(&format!("{DELAY}, 60"))
}

fn config_of(delays: &str) -> NamedTempFile {
    file(&format!(
        "[access]\nreaders = \"token\"\ndelays = [{delays}]\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ))
}

/// Returns a token whose delay is rounded up to that of the server.
fn delayed() -> String {
    signed(SECRET, &claims(600, &json!({"delay": 1})))
}

fn live() -> String {
    signed(SECRET, &claims(600, &json!({})))
}

fn get(server: &TestServer, route: &str, token: &str) -> RequestBuilder {
    server
        .http
        .get(format!("{}{route}", server.public))
        .bearer_auth(token)
}

async fn body(server: &TestServer, route: &str, token: &str) -> (StatusCode, String) {
    let answer = get(server, route, token).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Waits until a delayed reader may see `symbol`.
async fn until_seen(server: &TestServer, symbol: &str) {
    let (route, token) = (format!("/v1/prices/{symbol}"), delayed());
    eventually(async || body(server, &route, &token).await.0 == StatusCode::OK).await;
}

/// All routes that read and that are no streams.
const ROUTES: [&str; 8] = [
    "/v1/prices",
    "/v1/prices?symbols=A,NEW",
    "/v1/prices/A",
    "/v1/symbols",
    "/v1/symbols?q=NEW",
    "/v1/candles/A?interval=1m",
    "/v1/ticks/A",
    "/v1/status",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_reader_sees_the_market_as_it_was() {
    let config = config();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    let token = delayed();
    server.publish(&[("A", "1"), ("B", "2")]).await;
    let published = Instant::now();

    // There is nothing yet that is old enough: a browser's stream is told to come back.
    let early = get(&server, "/v1/prices", &token).send().await.unwrap();
    if published.elapsed() < Duration::from_secs(DELAY) {
        assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(early.headers()["retry-after"], "10");
        let text = early.text().await.unwrap();
        assert!(
            text.contains("there are no prices yet that are 2 s old"),
            "{text}"
        );
        let mut early = Reader::send(get(&server, "/v1/stream", &token)).await;
        assert_eq!(short(&early.event().await.unwrap()), "bye busy @-");
    }
    until_seen(&server, "A").await;
    assert!(published.elapsed() >= Duration::from_secs(DELAY));

    let mut stream = Reader::send(get(&server, "/v1/stream?mode=all", &token)).await;
    assert_eq!(up_to(&mut stream, "tick").await, ["tick A 1=1 @1"]);
    assert_eq!(short(&stream.event().await.unwrap()), "tick B 1=2 @2");
    let ready = stream.event().await.unwrap();
    assert_eq!(
        (ready.event.as_str(), &data(&ready)["delay"]),
        ("ready", &json!(DELAY))
    );
    let mut simple = Reader::send(get(&server, "/prices/stream", &token)).await;
    assert_eq!(simple.event().await.unwrap().id, "A");
    let mut now = Reader::send(get(&server, "/v1/stream", &live())).await;
    assert!(data(&now.until(|event| event.event == "ready").await)["delay"].is_null());

    // A new price is nowhere, until it is old enough.
    let before = Instant::now();
    server
        .publish(&[("A", "7777.25"), ("NEW", "7777.25")])
        .await;
    let mut looks = 0;
    while before.elapsed() < Duration::from_secs(DELAY) {
        for route in ROUTES {
            let (status, text) = body(&server, route, &token).await;
            // The answer must have begun before the price was old enough.
            if before.elapsed() < Duration::from_secs(DELAY) {
                assert_eq!(status, StatusCode::OK, "{route}: {text}");
                assert!(
                    !text.contains("7777.25") && !text.contains("\"NEW\""),
                    "{route}: {text}"
                );
                looks += 1;
            }
        }
        assert_eq!(
            body(&server, "/v1/prices/NEW", &live()).await.0,
            StatusCode::OK
        );
    }
    assert!(looks > ROUTES.len(), "{looks}");
    for reader in [&mut stream, &mut simple] {
        let newer = reader.until(|event| event.data.contains("7777.25")).await;
        assert_eq!(newer.event, "tick");
        assert!(before.elapsed() >= Duration::from_secs(DELAY));
    }
    until_seen(&server, "NEW").await;
    let (_, text) = body(&server, "/v1/status", &token).await;
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&status["delay"], &status["disk"]),
        (&json!(DELAY), &Value::Null)
    );
    assert_eq!(status["symbols"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_reader_resumes_and_its_streams_are_changed_and_prepared() {
    let config = config();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    let token = delayed();
    server.publish(&[("A", "1"), ("B", "2"), ("A", "3")]).await;
    until_seen(&server, "B").await;
    let mut all = Reader::send(get(
        &server,
        "/v1/stream?mode=all&since=start&symbols=A",
        &token,
    ))
    .await;
    let first = all.event().await.unwrap();
    assert_eq!(short(&first), "tick A 1=1 @1");
    let name = all.stream().await;
    drop(all);
    let again =
        get(&server, "/v1/stream?mode=all&symbols=A", &token).header("last-event-id", &first.id);
    let mut again = Reader::send(again).await;
    assert_eq!(
        up_to(&mut again, "ready").await,
        ["tick A 2=3 @3", "ready @3"]
    );

    // A cursor of the live market is ahead of the delayed one.
    server.publish(&[("C", "4")]).await;
    let mut now = Reader::send(get(&server, "/v1/stream?symbols=C", &live())).await;
    let ahead = now.event().await.unwrap();
    assert_eq!(short(&ahead), "tick C 1=4 @4");
    let reset = get(&server, "/v1/stream?symbols=A", &token).header("last-event-id", &ahead.id);
    assert_eq!(
        up_to(&mut Reader::send(reset).await, "reset").await,
        ["reset invalid @0"]
    );

    let patch = async |name: &str, body: &str| {
        let url = format!("{}/v1/streams/{name}", server.public);
        server
            .http
            .patch(url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    };
    assert_eq!(patch(&name, "{}").await.status(), StatusCode::NOT_FOUND);
    let name = {
        let mut changed = Reader::send(get(&server, "/v1/stream?symbols=A", &token)).await;
        let name = changed.stream().await;
        assert_eq!(
            patch(&name, r#"{"add":["B"]}"#).await.status(),
            StatusCode::OK
        );
        let seen = up_to(&mut changed, "ready").await;
        assert!(
            seen.contains(&"tick B 1=2 @3".to_owned())
                || seen.contains(&"tick B 1=2 @4".to_owned()),
            "{seen:?}"
        );
        name
    };
    eventually(async || patch(&name, "{}").await.status() == StatusCode::NOT_FOUND).await;
    let created = server
        .http
        .post(format!("{}/v1/streams", server.public))
        .bearer_auth(&token);
    let created: Value = created
        .body("{}")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let url = format!("{}{}", server.public, created["url"].as_str().unwrap());
    let mut prepared = Reader::get(&server.http, &url).await;
    let ready = prepared.until(|event| event.event == "ready").await;
    assert_eq!(data(&ready)["delay"], DELAY);

    // No delay of the server is long enough for this one.
    let longer = signed(SECRET, &claims(600, &json!({"delay": 61})));
    let (status, text) = body(&server, "/v1/prices", &longer).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        text.contains("delayed by more than 60 s, the longest delay"),
        "{text}"
    );
}

/// After a restart, the delayed market is there at once, from the disk, if it is old enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_market_survives_a_restart() {
    let (config, folder) = (config(), tempfile::tempdir().unwrap());
    let arguments = [
        "--source",
        "none",
        "--config",
        path(&config),
        "--tape-ticks",
        "4",
    ];
    let server = TestServer::on_disk(folder.path(), &arguments);
    let token = delayed();
    server
        .publish(&[
            ("A", "1"),
            ("B", "2"),
            ("A", "3"),
            ("C", "4"),
            ("A", "5"),
            ("A", "6"),
            ("A", "7"),
        ])
        .await;
    until_seen(&server, "A").await;
    let all = "/v1/stream?mode=all&since=start&symbols=A,B";
    let mut before = Reader::send(get(&server, all, &token)).await;
    let seen = up_to(&mut before, "ready").await;
    assert_eq!(seen.len(), 7, "{seen:?}");
    drop(before);
    server.end();

    let server = TestServer::on_disk(folder.path(), &arguments);
    until_seen(&server, "A").await;
    let mut after = Reader::send(get(&server, all, &token)).await;
    let ticks = |seen: &[String]| -> Vec<String> {
        seen.iter()
            .filter(|event| event.starts_with("tick"))
            .cloned()
            .collect()
    };
    assert_eq!(ticks(&up_to(&mut after, "ready").await), ticks(&seen));
    let (_, text) = body(&server, "/v1/ticks/A", &token).await;
    assert_eq!(text.lines().count(), 5, "{text}");
    let (_, candles) = body(&server, "/v1/candles/A", &token).await;
    let candles: Value = serde_json::from_str(&candles).unwrap();
    let counts = candles["candles"].as_array().unwrap().iter();
    assert_eq!(
        counts
            .map(|candle| candle["count"].as_u64().unwrap())
            .sum::<u64>(),
        5
    );
    let before = Instant::now();
    server.publish(&[("D", "8")]).await;
    until_seen(&server, "D").await;
    assert!(before.elapsed() >= Duration::from_secs(DELAY));
}

/// What a delayed reader has seen, the market has after a restart, too, whatever longer delays there
/// are: the stream continues without a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_stream_resumes_after_a_restart() {
    let config = config_of(&format!("{DELAY}, 86400"));
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--source", "none", "--config", path(&config)];
    let mut server = TestServer::on_disk(folder.path(), &arguments);
    server.publish(&[("A", "0")]).await;
    until_seen(&server, "A").await;
    let (mut last, mut number) = (None, 0);
    for _ in 0..3 {
        let all = match &last {
            None => "/v1/stream?mode=all".to_owned(),
            Some(id) => format!("/v1/stream?mode=all&since={id}"),
        };
        let mut stream = Reader::send(get(&server, &all, &delayed())).await;
        let ready = up_to(&mut stream, "ready").await;
        assert!(
            !ready.iter().any(|event| event.starts_with("reset")),
            "{ready:?}"
        );
        for _ in 0..5 {
            number += 1;
            server.publish(&[("A", &number.to_string())]).await;
            let event = stream.until(|event| event.event == "tick").await;
            assert_eq!(data(&event)["price"], number);
            last = Some(event.id);
        }
        drop(stream);
        server.end();
        server = TestServer::on_disk(folder.path(), &arguments);
        until_seen(&server, "A").await;
    }
}

/// A delayed market that begins after the drain ends its streams as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_market_that_begins_after_a_drain_ends_its_streams() {
    let config = config();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    server.publish(&[("A", "1")]).await;
    let drain = format!("{}/drain?window=10ms", server.admin);
    let drained = server.http.post(drain).send().await.unwrap();
    assert!(drained.status().is_success());
    until_seen(&server, "A").await;
    let mut stream = Reader::send(get(&server, "/v1/stream", &delayed())).await;
    let seen = up_to(&mut stream, "bye").await;
    assert!(seen.last().unwrap().starts_with("bye draining"), "{seen:?}");
}

/// Without the marks, nothing says how old the prices on the disk are. What readers saw before, they
/// see at once.
#[tokio::test(flavor = "multi_thread")]
async fn without_marks_a_restart_shows_nothing_new_for_the_delay() {
    let (config, folder) = (config(), tempfile::tempdir().unwrap());
    let arguments = ["--source", "none", "--config", path(&config)];
    let server = TestServer::on_disk(folder.path(), &arguments);
    server.publish(&[("A", "1")]).await;
    let snapshot = folder.path().join(format!("{DELAY:020}.delayed"));
    eventually(async || snapshot.exists()).await;
    until_seen(&server, "A").await;
    server.publish(&[("B", "1")]).await;
    server.end();
    std::fs::remove_file(folder.path().join("delayed.marks")).unwrap();
    let before = Instant::now();
    let server = TestServer::on_disk(folder.path(), &arguments);
    until_seen(&server, "A").await;
    let b = body(&server, "/v1/prices/B", &delayed()).await.0;
    assert!(b == StatusCode::NOT_FOUND || before.elapsed() >= Duration::from_secs(DELAY));
    until_seen(&server, "B").await;
    assert!(before.elapsed() >= Duration::from_secs(DELAY));
}

/// Each answer says that its prices are delayed, and so do the commands.
#[tokio::test(flavor = "multi_thread")]
async fn delayed_prices_are_labelled() {
    let config = config();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    server.publish(&[("A", "1")]).await;
    until_seen(&server, "A").await;
    let label = async |request: RequestBuilder| {
        let answer = request.send().await.unwrap();
        answer.headers().get("tickcast-delay").cloned()
    };
    let streams = ["/v1/stream", "/prices/stream"];
    for route in ROUTES.into_iter().chain(streams) {
        let delay = label(get(&server, route, &delayed())).await;
        assert_eq!(delay.unwrap(), "2", "{route}");
        assert_eq!(label(get(&server, route, &live())).await, None, "{route}");
    }
    let post = server.http.post(format!("{}/v1/streams", server.public));
    let prepared = post.bearer_auth(delayed()).send().await.unwrap();
    let prepared: Value = prepared.json().await.unwrap();
    let url = format!("{}{}", server.public, prepared["url"].as_str().unwrap());
    assert_eq!(label(server.http.get(url)).await.unwrap(), "2");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticks.ndjson");
    let file = file.to_str().unwrap();
    for command in [
        vec!["record", "--ticks", "1", "--since", "start", file],
        vec!["watch", "--plain"],
    ] {
        let mut child = tickcast(&command)
            .args(["--url", &server.public, "--token", &delayed()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.find_map(|line| line.ok().filter(|line| line.contains("delayed")));
        assert_eq!(said.unwrap(), "the prices are 2 s delayed");
        let _ = child.kill();
        child.wait().unwrap();
    }
}

#[test]
fn delays_out_of_their_range_are_refused() {
    let config = |delays: &str| {
        file(&format!(
            "[access]\nreaders = \"token\"\ndelays = {delays}\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
        ))
    };
    for (delays, expected) in [
        ("[0]", "access.delays: 0 s is outside 1 ..= 86400 s"),
        ("[86401]", "access.delays: 86401 s is outside"),
        (
            "[1,2,3,4,5,6,7,8,9]",
            "access.delays: 9 delays are given, the limit is 8",
        ),
        ("[3, -1]", "access.delays 2: invalid value"),
    ] {
        let file = config(delays);
        let output = tickcast(&["config", "check", "--config", path(&file)]).output();
        let output = output.unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{delays}: {message}");
    }
}
