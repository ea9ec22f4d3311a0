//! `GET /prices/stream`.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::client::Reader;
use crate::server::TestServer;

#[tokio::test]
async fn a_snapshot_is_sent_by_name_before_live_ticks() {
    let server = TestServer::start();
    server
        .publish(&[("B", "1"), ("A", "2.50"), ("B", "3")])
        .await;
    let mut all = Reader::open(&server, "").await;
    let mut some = Reader::open(&server, "?symbols=A,NEW*").await;
    let mut live = Reader::open(&server, "?snapshot=false&symbols=B&symbols=A").await;
    assert_eq!(all.ticks(2).await, ["A 1=2.50", "B 2=3"]);
    assert_eq!(some.ticks(1).await, ["A 1=2.50"]);
    server
        .publish(&[("B", "4"), ("NEWCOMER", "5"), ("A", "6")])
        .await;
    assert_eq!(all.ticks(3).await, ["B 3=4", "NEWCOMER 1=5", "A 2=6"]);
    assert_eq!(some.ticks(2).await, ["NEWCOMER 1=5", "A 2=6"]);
    assert_eq!(live.ticks(2).await, ["B 3=4", "A 2=6"]);
}

#[tokio::test]
async fn a_tick_has_exactly_the_documented_bytes() {
    let server = TestServer::start();
    let tick = r#"{"symbol":"AAPL","price":189.50,"prev_close":189.25,"time":1782907200123,"bid":189.4900,"note":"é"}"#;
    server.post(tick).await;
    let mut socket = tokio::net::TcpStream::connect(server.public.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    socket
        .write_all(b"GET /prices/stream HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    while !text.ends_with("id: AAPL\n\n\r\n") {
        let mut bytes = [0; 4096];
        let length = socket.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store, no-transform",
        "x-accel-buffering: no",
        "transfer-encoding: chunked",
    ] {
        assert!(head.contains(header), "{head}");
    }
    // Two chunks: the lines that open the stream are sent immediately, before the snapshot.
    let lines: Vec<_> = body.lines().collect();
    assert!(lines[1].starts_with("retry: "), "{body}");
    assert_eq!(lines[2..4], [": tickcast", ""]);
    assert_eq!(
        lines[5..8],
        [
            "event: tick",
            r#"data: {"symbol":"AAPL","price":189.50,"change":0.25,"change_pct":0.1321,"time":1782907200123,"n":1,"bid":189.4900,"note":"\u00e9"}"#,
            "id: AAPL",
        ]
    );
}

#[tokio::test]
async fn a_rate_conflates_ticks_and_sends_the_last_value() {
    let server = TestServer::start();
    let mut limited = Reader::open(&server, "?rate=5").await;
    let start = Instant::now();
    for price in 1..=400 {
        server.publish(&[("A", &price.to_string())]).await;
    }
    let mut seen = vec![limited.tick().await];
    while seen.last().unwrap().n < 400 {
        seen.push(limited.tick().await);
    }
    let visits = start.elapsed().as_millis() as usize / 200 + 2;
    assert!(
        seen.len() <= visits,
        "{} updates, at most {visits} were expected",
        seen.len()
    );
    assert!(seen.is_sorted_by_key(|tick| tick.n));
}

#[tokio::test]
async fn invalid_parameters_are_named() {
    let server = TestServer::start();
    let long = format!("/prices/stream?symbols={}", "x".repeat(5000));
    let many = format!(
        "/prices/stream?symbols={}",
        (0..1001).map(|i| format!("S{i},")).collect::<String>()
    );
    for (path, parameter, detail) in [
        (
            long.as_str(),
            "symbols",
            "symbols: entry 1: symbol has 5000 bytes, the limit is 32",
        ),
        (
            many.as_str(),
            "symbols",
            "symbols: 1001 symbols are named, the limit is 1000",
        ),
        (
            "/prices/stream?symbols=A%20B",
            "symbols",
            "entry 1: symbol holds ' '",
        ),
        (
            "/prices/stream?symbols=",
            "symbols",
            "the list is empty; leave the list out to select all symbols",
        ),
        (
            "/prices/stream?rate=0",
            "rate",
            "rate: expected 0.1 to 100 updates per second",
        ),
        (
            "/prices/stream?rate=fast",
            "rate",
            "expected 0.1 to 100 updates per second",
        ),
        (
            "/prices/stream?heartbeat=2",
            "heartbeat",
            "expected 3 to 60 seconds",
        ),
        (
            "/prices/stream?heartbeat=316",
            "heartbeat",
            "expected 3 to 60 seconds",
        ),
        (
            "/prices/stream?snapshot=maybe",
            "snapshot",
            "expected true or false",
        ),
        ("/v1/symbols?limit=0", "limit", "expected 1 to 1000 symbols"),
        (
            "/prices/stream?symbol=A",
            "symbol",
            "the nearest known parameter is \"symbols\"",
        ),
    ] {
        let (status, problem) = server.get(path).await;
        assert_eq!(
            (status, problem["parameter"].as_str()),
            (400, Some(parameter)),
            "{problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
    }
}

/// Checks the `heartbeat` parameter. Some clients disconnect after five seconds without a byte.
#[tokio::test(start_paused = true)]
async fn the_heartbeat_parameter_sets_the_keep_alive_interval() {
    let hub = tickcast::Hub::builder().build();
    let start = tokio::time::Instant::now();
    for (query, seconds) in [("?heartbeat=3", 3), ("", 18)] {
        let request = axum::http::Request::get(format!("/prices/stream{query}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let mut body = hub.router().oneshot(request).await.unwrap().into_body();
        let mut next = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(next().await.starts_with(b"retry: "));
        assert_eq!(&next().await[..], b": keep-alive\n");
        assert_eq!(start.elapsed().as_secs(), seconds, "{query}");
    }
}

#[tokio::test]
async fn a_head_request_opens_no_stream() {
    let server = TestServer::start();
    let head = server
        .http
        .head(format!("{}/prices/stream", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-type"].as_bytes()
        ),
        (200, &b"text/event-stream"[..])
    );
    assert_eq!(server.get("/v1/status").await.1["streams"], 0);
}

#[tokio::test]
async fn closed_streams_are_removed() {
    let server = TestServer::start();
    let mut readers = Vec::new();
    for _ in 0..50 {
        readers.push(Reader::open(&server, "").await);
    }
    server.wait_for_streams(50).await;
    readers.truncate(7);
    server.wait_for_streams(7).await;
}

/// Checks conflation for a slow consumer: a reader that pauses receives the newest values
/// afterwards. Other readers are not affected.
#[tokio::test]
async fn a_slow_consumer_receives_the_newest_values() {
    let server = TestServer::with(&["--source", "none", "--max-lag", "50ms"]);
    let mut slow = tokio::net::TcpStream::connect(server.public.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    slow.write_all(b"GET /prices/stream HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut prompt = Reader::open(&server, "").await;
    server.wait_for_streams(2).await;
    // Publish far more than the sockets and buffers between server and reader can hold.
    const ROUNDS: u64 = 500;
    let batch: String = (0..100)
        .map(|i| {
            format!(
                "{{\"symbol\":\"S{i}\",\"price\":1,\"pad\":\"{}\"}}\n",
                "x".repeat(300)
            )
        })
        .collect();
    for n in 1..=ROUNDS {
        let (status, _) = server.post_as("application/x-ndjson", batch.clone()).await;
        assert_eq!(status, 200);
        for _ in 0..100 {
            assert_eq!(
                prompt.tick().await.n,
                n,
                "a reader that keeps up must receive every tick"
            );
        }
    }
    let last = format!("\"n\":{ROUNDS},");
    let (mut text, mut bytes) = (String::new(), vec![0; 1 << 16]);
    while text.matches(&last).count() < 100 {
        let length = tokio::time::timeout(Duration::from_secs(60), slow.read(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(length, 0, "the stream must continue");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    let events = text.matches("event: tick").count() as u64;
    assert!(
        events < ROUNDS * 100 / 2,
        "the server sent {events} of {} ticks to a reader that did not read",
        ROUNDS * 100
    );
    assert_eq!(
        text.matches(&last).count(),
        100,
        "the reader must receive the newest tick of each symbol once"
    );
}
