//! Prepared streams: `POST /v1/streams`, and `GET`, `PATCH` and `DELETE /v1/streams/{id}`.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::client::Reader;
use crate::resumable::{data, short, up_to};
use crate::server::TestServer;
use crate::tokens::{SECRET, by_secret, claims, path, signed};

async fn send(server: &TestServer, method: Method, path: &str, body: &str) -> Response {
    let url = format!("{}{path}", server.public);
    let request = server.http.request(method, url).body(body.to_owned());
    request.send().await.unwrap()
}

/// Prepares a stream and returns its address.
async fn prepare(server: &TestServer, wanted: &Value) -> String {
    let created = send(server, Method::POST, "/v1/streams", &wanted.to_string()).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = created.json().await.unwrap();
    assert_eq!(body["url"], location);
    assert_eq!(body["linger"], 60);
    assert_eq!(
        location,
        format!("/v1/streams/{}", body["stream"].as_str().unwrap())
    );
    location
}

async fn read(server: &TestServer, location: &str, last: Option<&str>) -> Reader {
    let mut request = server.http.get(format!("{}{location}", server.public));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    Reader::send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_stream_is_read_by_several_and_changed_for_all() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("B", "2"), ("CC", "3")]).await;
    let url = prepare(&server, &json!({"symbols": ["A"], "heartbeat": 3})).await;
    let (mut first, mut second) = (
        read(&server, &url, None).await,
        read(&server, &url, None).await,
    );
    for reader in [&mut first, &mut second] {
        assert_eq!(short(&reader.event().await.unwrap()), "tick A 1=1 @1");
        let ready = reader.event().await.unwrap();
        assert!(url.ends_with(data(&ready)["stream"].as_str().unwrap()));
        assert_eq!(data(&ready)["heartbeat"], 3);
    }
    // One reader leaves, the stream is changed, and the reader comes back to the new symbols.
    server.publish(&[("A", "4")]).await;
    let last = first.event().await.unwrap().id;
    drop(first);
    assert_eq!(short(&second.event().await.unwrap()), "tick A 2=4 @4");
    let changed = send(&server, Method::PATCH, &url, r#"{"add":["C*"]}"#).await;
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["symbols"], json!(["C*", "A"]), "{changed}");
    assert_eq!(
        up_to(&mut second, "ready").await,
        ["tick CC 1=3 @4", "ready @4"]
    );
    let mut first = read(&server, &url, Some(&last)).await;
    let seen = up_to(&mut first, "ready").await;
    assert!(seen.contains(&"tick CC 1=3 @3".to_owned()), "{seen:?}");
    server.publish(&[("CNEW", "5"), ("B", "6")]).await;
    for reader in [&mut first, &mut second] {
        assert_eq!(short(&reader.event().await.unwrap()), "tick CNEW 1=5 @5");
    }
    assert_eq!(server.get("/v1/status").await.1["streams"], 2);

    assert_eq!(
        send(&server, Method::DELETE, &url, "").await.status(),
        StatusCode::NO_CONTENT
    );
    for reader in [&mut first, &mut second] {
        assert_eq!(short(&reader.event().await.unwrap()), "bye deleted @6");
        assert!(reader.event().await.is_none());
    }
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let gone = send(&server, method.clone(), &url, "{}").await;
        assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{method}");
    }
    let gone: Value = send(&server, Method::GET, &url, "")
        .await
        .json()
        .await
        .unwrap();
    let detail = gone["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("prepare another with POST /v1/streams"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_can_be_deleted_too() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let mut reader = crate::resumable::open(&server, "?symbols=A").await;
    let url = format!("/v1/streams/{}", reader.stream().await);
    assert_eq!(
        send(&server, Method::GET, &url, "").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        send(&server, Method::DELETE, &url, "").await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(short(&reader.event().await.unwrap()), "bye deleted @1");
    assert_eq!(
        send(&server, Method::DELETE, &url, "").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_stream_may_have_every_tick_or_no_snapshot() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("A", "2")]).await;
    let url = prepare(&server, &json!({"mode": "all", "symbols": ["A"]})).await;
    let mut all = read(&server, &format!("{url}?since=start"), None).await;
    let expected = ["tick A 1=1 @1", "tick A 2=2 @2", "ready @2"];
    assert_eq!(up_to(&mut all, "ready").await, expected);
    let url = prepare(&server, &json!({"snapshot": false, "rate": 2})).await;
    let mut new = read(&server, &url, None).await;
    assert_eq!(up_to(&mut new, "ready").await, ["ready @2"]);
    // Without a body, the stream has all symbols.
    let url = prepare(&server, &json!({})).await;
    let mut whole = read(&server, &url, None).await;
    assert_eq!(
        up_to(&mut whole, "ready").await,
        ["tick A 2=2 @2", "ready @2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_named() {
    let server = TestServer::with(&["--source", "none", "--max-prepared-streams", "2"]);
    for (body, expected) in [
        (
            "[]",
            "not a JSON object with symbols, rate, mode, heartbeat or snapshot",
        ),
        (r#"{"symbol":["A"]}"#, r#"unknown member \"symbol\""#),
        (r#"{"symbols":"A"}"#, "symbols: expected a list of symbols"),
        (r#"{"symbols":["A B"]}"#, "symbols: "),
        (r#"{"rate":0}"#, "rate: 0 updates per second is outside"),
        (
            r#"{"rate":1,"mode":"all"}"#,
            "rate: mode=all sends every tick",
        ),
        (
            r#"{"mode":"every"}"#,
            r#"mode: expected \"latest\" or \"all\""#,
        ),
        (r#"{"heartbeat":2}"#, "heartbeat: expected 3 to 60 seconds"),
        (r#"{"snapshot":1}"#, "snapshot: expected true or false"),
    ] {
        let refused = send(&server, Method::POST, "/v1/streams", body).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{body}");
        let text = refused.text().await.unwrap();
        assert!(text.contains(expected), "{text}");
    }
    let url = prepare(&server, &json!({})).await;
    let refused = send(&server, Method::GET, &format!("{url}?symbols=A"), "").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    prepare(&server, &json!({})).await;
    let full = send(&server, Method::POST, "/v1/streams", "{}").await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.headers().contains_key("retry-after"));
    let text = full.text().await.unwrap();
    assert!(
        text.contains("the server has 2 prepared streams, which is the limit"),
        "{text}"
    );
    let metrics = reqwest::get(format!("{}/metrics", server.admin))
        .await
        .unwrap();
    assert!(
        metrics
            .text()
            .await
            .unwrap()
            .contains("tickcast_prepared_streams 2")
    );
    // A deleted one makes room.
    send(&server, Method::DELETE, &url, "").await;
    prepare(&server, &json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readers_of_one_prepared_stream_are_limited() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let url = prepare(&server, &json!({})).await;
    let mut readers = Vec::new();
    for _ in 0..64 {
        readers.push(read(&server, &url, None).await);
    }
    let mut more = read(&server, &url, None).await;
    assert_eq!(short(&more.event().await.unwrap()), "bye busy @-");
    readers.truncate(63);
    crate::server::eventually(async || {
        let mut again = read(&server, &url, None).await;
        again.event().await.unwrap().event == "tick"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_prepared_stream_is_a_permission_within_its_token() {
    let config = by_secret();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    server.publish(&[("A", "1"), ("B", "2")]).await;
    let token = signed(SECRET, &claims(3, &json!({"symbols": ["A"]})));
    let prepare = async |token: Option<&str>, body: &str| {
        let request = server
            .http
            .post(format!("{}/v1/streams", server.public))
            .body(body.to_owned());
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap()
    };
    assert_eq!(prepare(None, "{}").await.status(), StatusCode::UNAUTHORIZED);
    let other = prepare(Some(&token), r#"{"symbols":["B"]}"#).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    let created: Value = prepare(Some(&token), "{}").await.json().await.unwrap();
    assert!(created["expires"].is_i64(), "{created}");
    let url = created["url"].as_str().unwrap();
    // No token is needed to read it, and none widens it.
    let mut reader = read(&server, url, None).await;
    assert_eq!(
        up_to(&mut reader, "ready").await,
        ["tick A 1=1 @1", "ready @2"]
    );
    let wider = signed(SECRET, &claims(60, &json!({})));
    let request = server
        .http
        .get(format!("{}{url}", server.public))
        .bearer_auth(wider);
    let mut wider = Reader::send(request).await;
    assert_eq!(
        up_to(&mut wider, "ready").await,
        ["tick A 1=1 @1", "ready @2"]
    );
    let refused = send(&server, Method::PATCH, url, r#"{"add":["B"]}"#).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // A login that is not valid, such as an old cookie, does no harm.
    let request = server.http.get(format!("{}{url}", server.public));
    let mut other = Reader::send(request.bearer_auth("not.a.token")).await;
    assert_eq!(short(&other.event().await.unwrap()), "tick A 1=1 @1");
    // Everything ends with the token.
    let last = reader.until(|event| event.event == "bye").await;
    assert_eq!(data(&last)["reason"], "expired");
    assert_eq!(
        send(&server, Method::GET, url, "").await.status(),
        StatusCode::NOT_FOUND
    );
}
