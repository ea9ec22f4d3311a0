//! `PATCH /v1/streams/{stream}`.

use serde_json::{Value, json};

use crate::resumable::{back, data, open, short, up_to};
use crate::server::{TestServer, eventually};

async fn patch(server: &TestServer, stream: &str, body: &str) -> (u16, Value) {
    let url = format!("{}/v1/streams/{stream}", server.public);
    let answer = server
        .http
        .patch(url)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Checks that an added symbol with an old price sends its state before its price.
#[tokio::test]
async fn an_added_stale_symbol_sends_its_state_before_its_price() {
    let server = TestServer::with(&["--source", "none", "--stale-after", "1s"]);
    server.publish(&[("A", "1"), ("B", "2")]).await;
    eventually(async || server.get("/v1/symbols").await.1["symbols"][0]["state"] == "stale").await;
    let mut reader = open(&server, "?symbols=B").await;
    let expected = ["status http stale @-", "symbol B stale @-", "tick B 1=2 @2"];
    assert_eq!(up_to(&mut reader, "tick").await, expected);
    let stream = data(&reader.event().await.unwrap())["stream"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(patch(&server, &stream, r#"{"set":["A"]}"#).await.0, 200);
    let events = up_to(&mut reader, "ready").await;
    assert_eq!(events, ["symbol A stale @2", "tick A 1=1 @2", "ready @2"]);
    // A change of only the rate sends no state.
    assert_eq!(patch(&server, &stream, r#"{"rate":2}"#).await.0, 200);
    assert_eq!(up_to(&mut reader, "ready").await, ["ready @2"]);
}

#[tokio::test]
async fn a_stream_changes_its_symbols_without_a_new_connection() {
    let server = TestServer::start();
    server
        .publish(&[("A", "1"), ("B", "2"), ("C", "3"), ("CC", "4")])
        .await;
    let mut reader = open(&server, "?mode=all&symbols=A").await;
    assert_eq!(short(&reader.event().await.unwrap()), "tick A 1=1 @1");
    let stream = data(&reader.event().await.unwrap())["stream"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, effective) = patch(&server, &stream, r#"{"add":["C*","B"]}"#).await;
    assert_eq!(status, 200, "{effective}");
    let expected =
        json!({"stream": stream, "symbols": ["C*", "A", "B"], "mode": "all", "rate": null});
    assert_eq!(effective, expected);
    // Ticks of an added symbol carry the position of the stream: the cursor of the stream never
    // moves backwards.
    let added = [
        "tick B 1=2 @4",
        "tick C 1=3 @4",
        "tick CC 1=4 @4",
        "ready @4",
    ];
    assert_eq!(up_to(&mut reader, "ready").await, added);
    assert_eq!(
        patch(&server, &stream, r#"{"remove":["A","NOT"]}"#).await.1["symbols"],
        json!(["C*", "B"])
    );
    assert_eq!(up_to(&mut reader, "ready").await, ["ready @4"]);
    server
        .publish(&[("A", "5"), ("C", "6"), ("CNEW", "7")])
        .await;
    assert_eq!(short(&reader.event().await.unwrap()), "tick C 2=6 @6");
    assert_eq!(short(&reader.event().await.unwrap()), "tick CNEW 1=7 @7");
    assert_eq!(
        patch(&server, &stream, r#"{"set":["A"]}"#).await.1["symbols"],
        json!(["A"])
    );
    assert_eq!(
        up_to(&mut reader, "ready").await,
        ["tick A 2=5 @7", "ready @7"]
    );
    assert_eq!(
        patch(&server, &stream, r#"{"set":[]}"#).await.1["symbols"],
        json!([])
    );
    let ready = reader.event().await.unwrap();
    assert_eq!(
        (short(&ready).as_str(), &data(&ready)["symbols"]),
        ("ready @7", &json!(0))
    );
    for (body, parameter, detail) in [
        (r#"{"add":["A B"]}"#, "add", "entry 1: symbol holds ' '"),
        (r#"{"remove":"A"}"#, "remove", "expected a list of symbols"),
        (r#"{"rate":2}"#, "rate", "mode=all sends every tick"),
        (r#"{"rate":"fast"}"#, "rate", "expected a number or null"),
        (r#"{"rate":0}"#, "rate", "outside 0.1 ..= 100"),
    ] {
        let (status, problem) = patch(&server, &stream, body).await;
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
    let many = json!({"set": (0..2000).map(|i| format!("S{i}")).collect::<Vec<_>>()}).to_string();
    let (status, problem) = patch(&server, &stream, &many).await;
    assert_eq!(status, 400);
    assert_eq!(
        problem["detail"],
        "set: 2000 symbols are named, the limit is 1000"
    );
    for body in ["", "[]", r#"{"symbols":["A"]}"#] {
        assert_eq!(patch(&server, &stream, body).await.0, 400, "{body}");
    }
    assert_eq!(patch(&server, &stream, &"x".repeat(300 << 10)).await.0, 413);
    for unknown in ["x", &"0".repeat(32)] {
        assert_eq!(patch(&server, unknown, r#"{"add":["A"]}"#).await.0, 404);
    }
    drop(reader);
    eventually(async || patch(&server, &stream, r#"{"add":["A"]}"#).await.0 == 404).await;
}

#[tokio::test]
async fn a_stream_changes_its_rate_without_a_new_connection() {
    let server = TestServer::start();
    let mut reader = open(&server, "?symbols=A").await;
    let stream = data(&reader.event().await.unwrap())["stream"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        patch(&server, &stream, r#"{"rate":0.1}"#).await.1["rate"],
        0.1
    );
    assert_eq!(data(&reader.event().await.unwrap())["rate"], 0.1);
    server.publish(&[("A", "1")]).await;
    assert_eq!(short(&reader.event().await.unwrap()), "tick A 1=1 @1");
    server.publish(&[("A", "2"), ("A", "3")]).await;
    assert_eq!(
        patch(&server, &stream, r#"{"rate":null}"#).await.1["rate"],
        Value::Null
    );
    // The newest value of the held ticks arrives at once, not after ten seconds.
    let seen = up_to(&mut reader, "ready").await;
    server.publish(&[("A", "4")]).await;
    let seen: Vec<_> = seen
        .into_iter()
        .chain(up_to(&mut reader, "tick").await)
        .collect();
    assert!(
        seen.iter()
            .any(|event| event == "tick A 3=3 @3" || event == "tick A 2=2 @2"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn resuming_after_a_change_leaves_no_gap() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "2"), ("C", "3")]).await;
    for mode in ["latest", "all"] {
        let query = format!("?symbols=A,B&mode={mode}");
        let mut reader = open(&server, &query).await;
        let ready = loop {
            let event = reader.event().await.unwrap();
            if event.event == "ready" {
                break event;
            }
        };
        assert_eq!(ready.id.matches('.').count(), 1, "{}", ready.id);
        let stream = data(&ready)["stream"].as_str().unwrap().to_owned();
        let url = format!("{}/v1/streams/{stream}", server.public);
        let change = server
            .http
            .patch(&url)
            .json(&json!({"add": ["C"], "remove": ["B"]}));
        assert_eq!(change.send().await.unwrap().status(), 200);
        assert_eq!(
            reader.event().await.unwrap().id.split('.').nth(2),
            Some("____"),
            "the snapshot is not complete yet"
        );
        let changed = reader.event().await.unwrap();
        assert_eq!(
            (changed.event.as_str(), changed.id.matches('.').count()),
            ("ready", 2)
        );
        assert_eq!(
            changed.id.rsplit('.').next(),
            data(&changed)["filter"].as_str()
        );
        // A browser reconnects with its original address.
        let mut browser = back(&server, &query, &changed.id).await;
        let seen = up_to(&mut browser, "ready").await;
        assert_eq!(
            seen,
            ["tick A 1=1 @1", "tick B 1=2 @2", "ready @3"].map(|event| match mode {
                // In mode `all` the ticks are replayed from the cursor, and earlier ticks carry the
                // position of the cursor.
                "all" => event.replace("@1", "@3").replace("@2", "@3"),
                _ => event.to_owned(),
            })
        );
        // A client that requests the changed filter continues from its cursor.
        let mut rewritten = back(&server, &format!("?symbols=A,C&mode={mode}"), &changed.id).await;
        assert_eq!(up_to(&mut rewritten, "ready").await, ["ready @3"]);
        // A client that chooses another filter by itself says to which filter its cursor belongs.
        let about = format!("{}.{}", ready.id, data(&ready)["filter"].as_str().unwrap());
        let mut other = back(&server, &format!("?symbols=B,C&mode={mode}"), &about).await;
        assert_eq!(up_to(&mut other, "ready").await.len(), 3);
    }
}

/// Checks changes that name a symbol that is newer than the last batch of the lane of the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_a_new_symbol_affects_no_other_stream() {
    let server = TestServer::start();
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader = open(&server, "?symbols=NONE").await;
        let stream = data(&reader.event().await.unwrap())["stream"]
            .as_str()
            .unwrap()
            .to_owned();
        readers.push((reader, stream));
    }
    for round in 0..5 {
        for (number, (_, stream)) in readers.iter().enumerate() {
            let name = format!("N{round}-{number:02}");
            // Publish twice, so that the lane rests after the first batch when the second tick
            // arrives.
            server.publish(&[("A", "1")]).await;
            server.publish(&[(name.as_str(), "1")]).await;
            let (status, effective) = patch(
                &server,
                stream,
                &json!({"set": [format!("{name}*")]}).to_string(),
            )
            .await;
            assert_eq!(status, 200, "{effective}");
        }
        for (number, (reader, _)) in readers.iter_mut().enumerate() {
            let events = up_to(reader, "ready").await;
            assert!(
                events[0].starts_with(&format!("tick N{round}-{number:02} 1=1 @")),
                "{events:?}"
            );
        }
    }
}

/// Checks that the rate limit counts refused changes too, because they also cost work.
#[tokio::test]
async fn refused_changes_count_towards_the_rate_limit() {
    let server = TestServer::start();
    let mut reader = open(&server, "?symbols=A*").await;
    let stream = data(&reader.event().await.unwrap())["stream"]
        .as_str()
        .unwrap()
        .to_owned();
    // This change is refused: the pattern still selects the symbol.
    let body = r#"{"remove":["AB"]}"#;
    let answers =
        futures_util::future::join_all((0..40).map(|_| patch(&server, &stream, body))).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!(of(400) + of(429), 40, "{answers:?}");
    assert!(of(429) >= 10, "{answers:?}");
}
