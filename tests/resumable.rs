//! `GET /v1/stream`: cursors, resume, and the events that are not ticks.

use std::time::Duration;

use eventsource_stream::Event;
use serde_json::{Value, json};
use tickcast::{Hub, Subscription};

use crate::client::Reader;
use crate::faults::{connect, rest};
use crate::server::{TestServer, eventually};

/// Returns an event without the parts that differ between runs: `tick A 1=2.50 @3`, `ready @3`,
/// `reset epoch @0`.
pub(crate) fn short(event: &Event) -> String {
    let data = data(event);
    let seq = event
        .id
        .split_once('-')
        .map_or("-", |(_, seq)| seq.split(['.', '_']).next().unwrap());
    let what = match event.event.as_str() {
        "tick" => {
            let price = crate::client::raw_field(&event.data, "price");
            format!(
                "tick {} {}={price}",
                data["symbol"].as_str().unwrap(),
                data["n"]
            )
        }
        "gone" => format!("gone {}", data["symbol"].as_str().unwrap()),
        "reset" | "bye" => format!("{} {}", event.event, data["reason"].as_str().unwrap()),
        "status" if data["symbol"].is_string() => {
            format!(
                "symbol {} {}",
                data["symbol"].as_str().unwrap(),
                data["state"].as_str().unwrap()
            )
        }
        "status" => {
            format!(
                "status {} {}",
                data["source"].as_str().unwrap(),
                data["state"].as_str().unwrap()
            )
        }
        other => other.to_owned(),
    };
    format!("{what} @{seq}")
}

pub(crate) fn data(event: &Event) -> Value {
    serde_json::from_str(&event.data).unwrap()
}

/// Returns the next events up to the first event named `last`.
pub(crate) async fn up_to(reader: &mut Reader, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let event = reader.event().await.expect("the stream has ended");
        seen.push(short(&event));
        if event.event == last {
            return seen;
        }
    }
}

pub(crate) async fn open(server: &TestServer, query: &str) -> Reader {
    Reader::get(&server.http, &format!("{}/v1/stream{query}", server.public)).await
}

/// Reconnects with `last` as its `Last-Event-ID`. The text may be anything.
pub(crate) async fn back(server: &TestServer, query: &str, last: &str) -> Reader {
    let url = format!("{}/v1/stream{query}", server.public);
    Reader::send(server.http.get(url).header("last-event-id", last)).await
}

pub(crate) async fn epoch(server: &TestServer) -> String {
    server.get("/v1/status").await.1["epoch"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Returns the cursor of a sequence number that the server still has.
pub(crate) async fn cursor_at(server: &TestServer, seq: u64) -> String {
    let mut reader = open(server, "?mode=all&since=start").await;
    loop {
        let event = reader.event().await.unwrap();
        if short(&event).ends_with(&format!(" @{seq}")) {
            return event.id;
        }
    }
}

#[tokio::test]
async fn a_stream_sends_a_snapshot_then_ready_then_live_ticks() {
    let server = TestServer::start();
    server
        .publish(&[("B", "1"), ("A", "2.50"), ("B", "3")])
        .await;
    let mut all = open(&server, "?mode=all&symbols=*").await;
    assert_eq!(
        up_to(&mut all, "tick").await,
        ["tick A 1=2.50 @2"],
        "the snapshot is in the order of the last ticks"
    );
    assert_eq!(short(&all.event().await.unwrap()), "tick B 2=3 @3");
    let ready = all.event().await.unwrap();
    let fields = data(&ready);
    assert!(
        ready
            .id
            .starts_with(&format!("{}-3.", epoch(&server).await)),
        "{}",
        ready.id
    );
    assert_eq!(fields["cursor"].as_str(), Some(ready.id.as_str()));
    let expected =
        json!({"mode": "all", "rate": null, "heartbeat": 10, "resumed": false, "symbols": 2});
    expected
        .as_object()
        .unwrap()
        .iter()
        .for_each(|(name, value)| assert_eq!(&fields[name], value, "{name}"));
    assert_eq!(fields["stream"].as_str().unwrap().len(), 32);
    assert!(fields["server"].as_str().unwrap().starts_with("tickcast/"));
    server.publish(&[("A", "4"), ("A", "5")]).await;
    assert_eq!(short(&all.event().await.unwrap()), "tick A 2=4 @4");
    assert_eq!(short(&all.event().await.unwrap()), "tick A 3=5 @5");
    let mut quiet = open(&server, "?snapshot=false&symbols=A&rate=2&heartbeat=3").await;
    let ready = quiet.event().await.unwrap();
    assert_eq!(
        (short(&ready).as_str(), data(&ready)["rate"].as_f64()),
        ("ready @5", Some(2.0))
    );
}

#[tokio::test]
async fn a_reader_resumes_from_its_cursor() {
    let server = TestServer::start();
    server
        .publish(&[("A", "1"), ("B", "2"), ("A", "3"), ("C", "4"), ("A", "5")])
        .await;
    let cursors = [
        cursor_at(&server, 1).await,
        cursor_at(&server, 2).await,
        cursor_at(&server, 5).await,
    ];
    let at =
        |seq: usize| cursors[[1, 2, 5].iter().position(|known| *known == seq).unwrap()].clone();
    let all = [
        "tick A 2=3 @3",
        "tick C 1=4 @4",
        "tick A 3=5 @5",
        "ready @5",
    ];
    let latest = ["tick C 1=4 @4", "tick A 3=5 @5", "ready @5"];
    for (query, expected) in [("?mode=all", &all[..]), ("", &latest)] {
        let mut reader = back(&server, query, &at(2)).await;
        assert_eq!(
            up_to(&mut reader, "ready").await,
            expected,
            "resumed by the header"
        );
        let join = if query.is_empty() { '?' } else { '&' };
        for name in ["lastEventId", "since"] {
            let mut reader = open(&server, &format!("{query}{join}{name}={}", at(2))).await;
            assert_eq!(
                up_to(&mut reader, "ready").await,
                expected,
                "resumed by {name}"
            );
        }
        // A browser updates its `Last-Event-ID` header, while its URL stays the same.
        let mut reader = back(
            &server,
            &format!("{query}{join}lastEventId={}&since=nonsense", at(1)),
            &at(2),
        )
        .await;
        assert_eq!(
            up_to(&mut reader, "ready").await,
            expected,
            "the header takes precedence"
        );
        let mut reader = back(&server, &format!("{query}{join}lastEventId={}", at(2)), "").await;
        assert_eq!(
            up_to(&mut reader, "ready").await,
            expected,
            "an empty header is ignored"
        );
    }
    let mut reader = back(&server, "?mode=all&symbols=B", &at(5)).await;
    let ready = reader.event().await.unwrap();
    assert_eq!(
        (short(&ready).as_str(), data(&ready)["resumed"].as_bool()),
        ("ready @5", Some(true))
    );
    let mut reader = open(&server, "?mode=all&since=start&symbols=A").await;
    assert_eq!(
        up_to(&mut reader, "ready").await,
        ["tick A 1=1 @1", all[0], all[2], "ready @5"]
    );
}

#[tokio::test]
async fn a_stream_continues_from_the_cursor_of_the_prices() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "2")]).await;
    let (_, prices) = server.get("/v1/prices").await;
    server.publish(&[("A", "3"), ("A", "4")]).await;
    let cursor = prices["cursor"].as_str().unwrap();
    let mut reader = open(&server, &format!("?mode=all&since={cursor}")).await;
    assert_eq!(
        up_to(&mut reader, "ready").await,
        ["tick A 2=3 @3", "tick A 3=4 @4", "ready @4"]
    );
}

#[tokio::test]
async fn an_invalid_cursor_gets_a_reset_and_a_new_snapshot() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("A", "2")]).await;
    let epoch = epoch(&server).await;
    let long_text = "x".repeat(10 << 10);
    let future = format!("{epoch}-3.AAAA");
    let too_large = format!("{epoch}-18446744073709551616.AAAA");
    let zeros = format!("{epoch}-01.AAAA");
    let without_seq = format!("{epoch}-");
    let unchecked = format!("{epoch}-1");
    // A cursor with another check: for example from a copy of this tape that continued differently.
    let valid = cursor_at(&server, 1).await;
    let other = format!(
        "{epoch}-1.{}",
        if valid.ends_with("AAAA") {
            "BBBB"
        } else {
            "AAAA"
        }
    );
    let changed = format!("{other}.AAAA");
    let (binary, forged) = (
        "\u{1}\u{ff}\u{7f}",
        format!("{epoch}-1\r\nid: {epoch}-9\n\ndata: x"),
    );
    for (last, reason) in [
        ("000000000000-1.AAAA", "epoch"),
        (other.as_str(), "epoch"),
        (changed.as_str(), "epoch"),
        (unchecked.as_str(), "invalid"),
        (future.as_str(), "invalid"),
        (too_large.as_str(), "invalid"),
        (zeros.as_str(), "invalid"),
        (without_seq.as_str(), "invalid"),
        ("-1", "invalid"),
        ("A", "invalid"),
        (long_text.as_str(), "invalid"),
        (binary, "invalid"),
        (forged.as_str(), "invalid"),
    ] {
        for mode in ["latest", "all"] {
            let query = form_urlencoded::Serializer::new(format!("?mode={mode}&"))
                .append_pair("lastEventId", last)
                .finish();
            let mut reader = open(&server, &query).await;
            let reset = reader.event().await.unwrap();
            assert_eq!(short(&reset), format!("reset {reason} @0"), "{last:?}");
            let echoed = data(&reset)["last"].as_str().unwrap().to_owned();
            assert_eq!(echoed, last.chars().take(64).collect::<String>());
            assert_eq!(
                up_to(&mut reader, "ready").await,
                ["tick A 2=2 @2", "ready @2"],
                "{last:?}"
            );
        }
    }
    // A header may also hold bytes that are not text.
    let mut socket = connect(&server);
    let request = b"GET /v1/stream HTTP/1.0\r\nhost: x\r\nlast-event-id: \xff\xfe\x80-1\r\n\r\n";
    std::io::Write::write_all(&mut socket, request).unwrap();
    server.signal("-TERM");
    let answer = rest(&socket);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn invalid_stream_parameters_are_named() {
    let server = TestServer::start();
    for (query, parameter, detail) in [
        ("?mode=lossless", "mode", "expected latest or all"),
        (
            "?mode=all&rate=1",
            "rate",
            "mode=all sends every tick; a rate needs mode=latest",
        ),
        ("?heartbeat=0", "heartbeat", "expected 3 to 60 seconds"),
        ("?heartbeat=61", "heartbeat", "expected 3 to 60 seconds"),
        ("?heartbeat=often", "heartbeat", "expected 3 to 60 seconds"),
        ("?since=yesterday", "since", "and not start"),
        ("?symbols=A%20B", "symbols", "holds ' '"),
    ] {
        let (status, problem) = server.get(&format!("/v1/stream{query}")).await;
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

#[tokio::test]
async fn a_cursor_older_than_the_tape_gets_a_reset() {
    let server = TestServer::with(&["--source", "none", "--tape-ticks", "10"]);
    let mut cursors = vec![String::new()];
    for price in 1..=30 {
        let (_, answer) = server
            .post(&format!("{{\"symbol\":\"A\",\"price\":{price}}}"))
            .await;
        cursors.push(answer["cursor"].as_str().unwrap().to_owned());
    }
    let mut reader = back(&server, "?mode=all", &cursors[19]).await;
    let reset = reader.event().await.unwrap();
    assert_eq!(short(&reset), "reset expired @0");
    assert_eq!(data(&reset)["last"], cursors[19].as_str());
    assert_eq!(
        up_to(&mut reader, "ready").await,
        ["tick A 30=30 @30", "ready @30"]
    );
    let mut reader = back(&server, "?mode=all", &cursors[20]).await;
    assert_eq!(up_to(&mut reader, "ready").await.len(), 11);
    // A stream of newest values needs no history. The server can no longer check whether the cursor
    // belongs to this tape.
    let mut reader = back(&server, "", &cursors[1]).await;
    assert_eq!(up_to(&mut reader, "tick").await, ["tick A 30=30 @30"]);
    let ready = reader.event().await.unwrap();
    assert_eq!(
        (short(&ready).as_str(), data(&ready)["resumed"].as_bool()),
        ("ready @30", Some(false))
    );
}

#[tokio::test]
async fn deleted_symbols_send_a_gone_event() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "2")]).await;
    let mut reader = open(&server, "?symbols=A,B").await;
    assert_eq!(up_to(&mut reader, "ready").await.len(), 3);
    let taken_off = server
        .http
        .delete(format!("{}/v1/prices/A", server.public))
        .bearer_auth(crate::server::TOKEN);
    assert_eq!(taken_off.send().await.unwrap().status(), 204);
    assert_eq!(short(&reader.event().await.unwrap()), "gone A @3");
    let cursor = cursor_at(&server, 2).await;
    for mode in ["latest", "all"] {
        let mut reader = back(&server, &format!("?mode={mode}"), &cursor).await;
        assert_eq!(
            up_to(&mut reader, "ready").await,
            ["gone A @3", "ready @3"],
            "a reader that missed the event receives the event now"
        );
        let mut reader = open(&server, &format!("?mode={mode}")).await;
        assert_eq!(
            up_to(&mut reader, "ready").await,
            ["tick B 1=2 @2", "ready @3"],
            "a new stream does not receive the event"
        );
    }
}

#[tokio::test]
async fn quiet_streams_send_heartbeats() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "1")]).await;
    let mut quiet = open(&server, "?symbols=A&heartbeat=3").await;
    assert_eq!(
        up_to(&mut quiet, "ready").await,
        ["tick A 1=1 @1", "ready @2"]
    );
    server.publish(&[("B", "2"), ("B", "3")]).await;
    let heartbeat = quiet.event().await.unwrap();
    assert_eq!(
        short(&heartbeat),
        "heartbeat @4",
        "the cursor of a quiet stream advances"
    );
    let fields = data(&heartbeat);
    assert_eq!(fields["cursor"].as_str(), Some(heartbeat.id.as_str()));
    assert!(fields["time"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        (
            &fields["sources"][0]["source"],
            &fields["sources"][0]["state"]
        ),
        (&json!("http"), &json!("live"))
    );
    // The same holds for a stream with a rate: its position advances although none of its symbols
    // ticked.
    let mut limited = open(&server, "?symbols=A&heartbeat=3&rate=1").await;
    assert_eq!(up_to(&mut limited, "ready").await.len(), 2);
    server.publish(&[("B", "4")]).await;
    assert_eq!(short(&limited.event().await.unwrap()), "heartbeat @5");
}

#[tokio::test]
async fn a_silent_source_becomes_stale() {
    let mut command =
        crate::server::tickcast(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command
        .args([
            "--log-format",
            "json",
            "--source",
            "stdin?stale_after=1500ms",
        ])
        .stdin(std::process::Stdio::piped());
    let mut server = TestServer::launch(command);
    let mut pipe = server.stdin();
    let mut reader = open(&server, "").await;
    assert_eq!(up_to(&mut reader, "ready").await, ["ready @0"]);
    let mut feed = |line: &str| std::io::Write::write_all(&mut pipe, line.as_bytes()).unwrap();
    feed("{\"symbol\":\"A\",\"price\":1}\n");
    assert_eq!(
        up_to(&mut reader, "status").await,
        ["tick A 1=1 @1", "status stdin stale @1"]
    );
    assert_eq!(
        short(&reader.event().await.unwrap()),
        "symbol A stale @1",
        "the symbols of a stale source are stale too"
    );
    assert_eq!(
        server.get("/v1/symbols").await.1["symbols"][0]["state"],
        "stale"
    );
    let mut new_reader = open(&server, "").await;
    let expected = [
        "status stdin stale @-",
        "symbol A stale @-",
        "tick A 1=1 @1",
        "ready @1",
    ];
    assert_eq!(
        up_to(&mut new_reader, "ready").await,
        expected,
        "a new stream receives the stale states"
    );
    feed("{\"symbol\":\"A\",\"price\":2}\n");
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(short(&reader.event().await.unwrap()));
    }
    events.sort();
    assert!(
        events[0].starts_with("status stdin live") && events[1].starts_with("symbol A live"),
        "{events:?}"
    );
    assert_eq!(events[2], "tick A 2=2 @2");
    drop(pipe);
    eventually(async || {
        up_to(&mut reader, "status")
            .await
            .iter()
            .any(|event| event.starts_with("status stdin gone"))
    })
    .await;
}

#[tokio::test]
async fn a_stopping_server_sends_a_bye() {
    let mut server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let mut reader = open(&server, "").await;
    up_to(&mut reader, "ready").await;
    server.signal("-TERM");
    let bye = reader.event().await.unwrap();
    assert_eq!(short(&bye), "bye draining @1");
    assert_eq!(
        bye.retry.unwrap().as_millis() as u64,
        data(&bye)["retry"].as_u64().unwrap()
    );
    assert!((2000..=5000).contains(&data(&bye)["retry"].as_u64().unwrap()));
    assert!(reader.event().await.is_none(), "the body must end cleanly");
    assert!(server.wait().success());
}

#[tokio::test]
async fn a_slow_consumer_of_every_tick_gets_a_bye_and_can_reconnect() {
    let server = TestServer::with(&["--source", "none", "--tape-ticks", "1000"]);
    let mut slow = open(&server, "?mode=all").await;
    up_to(&mut slow, "ready").await;
    let lines: String = (1..=200_000)
        .map(|n| format!("{{\"symbol\":\"A\",\"price\":{n}}}\n"))
        .collect();
    assert_eq!(
        server.post_as("application/x-ndjson", lines).await.1["accepted"],
        200_000
    );
    let (mut n, mut bye) = (0, None);
    while bye.is_none() {
        let event = slow
            .event()
            .await
            .expect("the stream ended without a `bye`");
        match event.event.as_str() {
            "tick" => {
                n += 1;
                assert_eq!(
                    data(&event)["n"],
                    n,
                    "the reader missed a tick before the `bye`"
                );
            }
            _ => bye = Some(event),
        }
    }
    let bye = bye.unwrap();
    assert!(short(&bye).starts_with("bye lagging"), "{bye:?}");
    assert!(slow.event().await.is_none());
    let mut resumed = back(&server, "?mode=all", &bye.id).await;
    assert_eq!(short(&resumed.event().await.unwrap()), "reset expired @0");
    let newest = "tick A 200000=200000 @200000";
    eventually(async || {
        up_to(&mut open(&server, "").await, "ready")
            .await
            .iter()
            .any(|event| event == newest)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_above_the_connection_limit_gets_a_bye() {
    let server = TestServer::with(&["--source", "none", "--max-connections", "1"]);
    let mut first = open(&server, "").await;
    up_to(&mut first, "ready").await;
    eventually(async || {
        let mut second = open(&server, "").await;
        let event = second.event().await.unwrap();
        event.event == "bye"
            && data(&event)["reason"] == "busy"
            && event.id.is_empty()
            && second.event().await.is_none()
    })
    .await;
}

/// Checks that the direct path, the body path and HTTP/2 send the same events.
#[tokio::test(flavor = "multi_thread")]
async fn both_paths_and_http2_send_the_same_events() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "2"), ("A", "3")]).await;
    let last = cursor_at(&server, 1).await;
    let two = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let url = format!("{}/v1/stream?mode=all", server.public);
    let mut readers = vec![
        Reader::send(server.http.get(&url).header("last-event-id", &last)).await,
        // This request has a `content-length` header, so hyper serves the stream.
        Reader::send(
            server
                .http
                .get(&url)
                .header("last-event-id", &last)
                .body(""),
        )
        .await,
        Reader::send(two.get(&url).header("last-event-id", &last)).await,
    ];
    for reader in &mut readers {
        assert_eq!(
            up_to(reader, "ready").await,
            ["tick B 1=2 @2", "tick A 2=3 @3", "ready @3"]
        );
    }
    server.publish(&[("C", "4")]).await;
    for reader in &mut readers {
        assert_eq!(up_to(reader, "tick").await, ["tick C 1=4 @4"]);
    }
    server.signal("-TERM");
    for reader in &mut readers {
        assert_eq!(up_to(reader, "bye").await, ["bye draining @4"]);
        assert!(reader.event().await.is_none());
    }
}

#[tokio::test]
async fn readers_in_the_same_process_receive_ticks() {
    let hub = Hub::builder().write_timeout(Duration::from_secs(1)).build();
    let mut reader = hub.subscribe(Subscription::default());
    hub.try_publish(&tickcast::Tick::from_json(br#"{"symbol":"A","price":1}"#).unwrap())
        .unwrap();
    assert_eq!(reader.next().await.unwrap().n, 1);
}
