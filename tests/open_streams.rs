//! `GET /v1/streams` on the admin listener.

use std::io::Write;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::Reader;
use crate::faults::connect;
use crate::resumable::data;
use crate::server::{TestServer, eventually};
use crate::tokens::{SECRET, by_secret, claims, path, signed};

async fn list(server: &TestServer, query: &str) -> (StatusCode, Value) {
    let request = server
        .http
        .get(format!("{}/v1/streams{query}", server.admin));
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_the_open_streams_and_no_permission() {
    let config = by_secret();
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    server.publish(&[("A", "1")]).await;
    let token = signed(SECRET, &claims(3600, &json!({})));
    let request = server
        .http
        .get(format!("{}/v1/stream?rate=2", server.public));
    let mut reader = Reader::send(request.bearer_auth(&token)).await;
    let _tick = reader.event().await.unwrap();
    let ready = data(&reader.event().await.unwrap());
    let id = ready["stream"].as_str().unwrap();
    eventually(async || list(&server, "").await.1["streams"][0]["behind"] == 0).await;
    let (status, listed) = list(&server, "").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({"stream": id[..8], "issuer": null, "sub": "ada", "prepared": false, "mode": "latest",
        "rate": 2.0, "behind": 0, "stalled_ms": 0, "delay": 0});
    assert_eq!(listed, json!({"open": 1, "streams": [expected]}));
    assert!(!listed.to_string().contains(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_stalled_stream_comes_first() {
    let server = TestServer::start();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(Reader::open(&server, "?symbols=A").await);
    }
    let mut stalled = connect(&server);
    stalled
        .write_all(b"GET /v1/stream?mode=all HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    server.wait_for_streams(4).await;
    let filler = "x".repeat(1000);
    let mut price = 0;
    eventually(async || {
        let ticks: Vec<_> = (0..500)
            .map(|_| {
                price += 1;
                json!({"symbol": "B", "price": price, "filler": filler}).to_string()
            })
            .collect();
        server
            .post_as("application/x-ndjson", ticks.join("\n"))
            .await;
        let (_, listed) = list(&server, "?limit=2").await;
        assert_eq!(listed["open"], 4);
        assert_eq!(listed["streams"].as_array().unwrap().len(), 2);
        assert_eq!(listed["streams"][1]["stalled_ms"], 0);
        let first = &listed["streams"][0];
        first["mode"] == "all"
            && first["stalled_ms"].as_u64() > Some(0)
            && first["behind"].as_u64() > Some(0)
    })
    .await;
    for bad in [
        "?limit=0",
        "?limit=10001",
        "?limit=x",
        "?max=1",
        "?limit=1&limit=2",
    ] {
        assert_eq!(list(&server, bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}
