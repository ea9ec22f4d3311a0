//! HTTP/2: streams that count as connections, and streams with a closed flow-control window.

use std::net::SocketAddr;

use axum::http::Request;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};

use crate::bodies::serve_with_short_timeout;
use crate::client::Reader;
use crate::server::{TIMEOUT, TestServer, eventually};

/// Connects with a flow-control window of `window` bytes.
async fn connect(address: SocketAddr, window: u32) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(window)
        .handshake(socket)
        .await
        .unwrap();
    // The connection continues to answer pings.
    tokio::spawn(connection);
    client
}

/// Begins a request. If `more` is given, its bytes are sent and the body stays open.
async fn begin(
    client: &mut SendRequest<Bytes>,
    method: &str,
    path: &str,
    more: Option<&'static str>,
) -> ResponseFuture {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://x{path}"))
        .body(())
        .unwrap();
    *client = client.clone().ready().await.unwrap();
    let (answer, mut body) = client.send_request(request, more.is_none()).unwrap();
    if let Some(more) = more {
        // A server that refuses the request may answer before the client sends its first bytes.
        // Sending then fails, and the answer says why.
        let _ = body.send_data(Bytes::from_static(more.as_bytes()), false);
        // Dropping the body would cancel the request.
        tokio::spawn(async move { std::future::poll_fn(|cx| body.poll_reset(cx)).await });
    }
    answer
}

async fn get(client: &mut SendRequest<Bytes>, path: &str) -> RecvStream {
    let answer = begin(client, "GET", path, None).await.await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body()
}

/// Returns the next bytes, or the reason of the reset.
async fn next(body: &mut RecvStream) -> Result<Bytes, Option<Reason>> {
    let bytes = tokio::time::timeout(TIMEOUT, body.data())
        .await
        .expect("the stream was not reset in time");
    bytes
        .expect("the stream ended without a reset")
        .map_err(|error| error.reason())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_closed_window_is_reset() {
    let (address, hub) = serve_with_short_timeout().await;
    let pad = "x".repeat(900);
    for i in 0..200 {
        let tick = format!("{{\"symbol\":\"S{i}\",\"price\":1,\"pad\":\"{pad}\"}}");
        hub.try_publish(&tickcast::Tick::from_json(tick.as_bytes()).unwrap())
            .unwrap();
    }
    // A quiet stream whose reader reads everything.
    let mut open = connect(address, 1 << 20).await;
    let mut quiet = get(&mut open, "/prices/stream?symbols=QUIET").await;
    assert!(next(&mut quiet).await.unwrap().starts_with(b"retry: "));
    // The window takes nothing of the response, or only a part. A response that fits into its
    // window is not held open.
    let (long, short) = (
        ["/v1/prices", "/prices/stream", "/v1/stream"],
        ["/v1/symbols", "/v1/prices/S1"],
    );
    for (window, paths) in [
        (0, &long[..]),
        (0, &short),
        (1, &long),
        (1, &short),
        (20_000, &long),
    ] {
        let mut closed = connect(address, window).await;
        for path in paths {
            let mut body = get(&mut closed, path).await;
            let reason = loop {
                match next(&mut body).await {
                    // The client does not release capacity: the window stays as it is.
                    Ok(_) => {}
                    Err(reason) => break reason,
                }
            };
            assert_eq!(reason, Some(Reason::CANCEL), "{path}, {window}");
        }
    }
    eventually(async || hub.stats().streams == 1).await;
    hub.try_publish(&tickcast::Tick::from_json(br#"{"symbol":"QUIET","price":7}"#).unwrap())
        .unwrap();
    // Until now the quiet stream received only keep-alive comments.
    while !String::from_utf8_lossy(&next(&mut quiet).await.unwrap()).contains("\"price\":7,") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_arriving_times_out() {
    let (address, _hub) = serve_with_short_timeout().await;
    let mut client = connect(address, 1 << 20).await;
    let stalled = begin(&mut client, "POST", "/v1/prices", Some("[")).await;
    let answer = tokio::time::timeout(TIMEOUT, stalled)
        .await
        .expect("no response arrived")
        .unwrap();
    assert_eq!(answer.status(), 408);
    // The other requests of the connection are not affected.
    assert!(
        !next(&mut get(&mut client, "/v1/symbols").await)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_without_the_token_is_refused_before_the_body_arrives() {
    let server = TestServer::start();
    let address = server
        .public
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let mut client = connect(address, 1 << 20).await;
    let refused = begin(&mut client, "POST", "/v1/prices", Some("[")).await;
    let answer = tokio::time::timeout(TIMEOUT, refused)
        .await
        .expect("no response arrived")
        .unwrap();
    assert_eq!(answer.status(), 401);
}

/// Checks that each stream takes a connection slot, although the streams share one connection.
/// Checks that the stream frees the slot at its end.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_connection_take_slots() {
    let server = TestServer::with(&["--source", "none", "--max-connections", "5"]);
    let http = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let url = format!("{}/prices/stream?symbols=A", server.public);
    let mut readers = Vec::new();
    // The connection itself takes one of the five slots.
    for _ in 0..4 {
        readers.push(Reader::get(&http, &url).await);
    }
    server.wait_for_streams(4).await;
    for url in [url.clone(), format!("{}/v1/stream", server.public)] {
        let answer = http.get(&url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, reqwest::Version::HTTP_2)
        );
        let busy = tokio::time::timeout(TIMEOUT, answer.text())
            .await
            .expect("the stream was not refused")
            .unwrap();
        assert!(busy.contains("busy"), "{busy}");
    }
    // Short requests and open streams continue.
    assert_eq!(
        http.get(format!("{}/healthz", server.public))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    server.publish(&[("A", "1")]).await;
    for reader in &mut readers {
        assert_eq!(reader.tick().await.price, "1");
    }
    readers.pop();
    eventually(async || {
        let mut answer = http.get(&url).send().await.unwrap();
        let mut begin = String::new();
        while !begin.contains("busy") && !begin.contains("event: tick") {
            begin += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
        }
        begin.contains("event: tick")
    })
    .await;
}

/// Checks the maximum number of concurrent requests of a connection, which the server announces.
/// Further requests wait until an earlier one ends.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_per_connection_are_limited() {
    let (address, _hub) = serve_with_short_timeout().await;
    let mut client = connect(address, 1 << 20).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(get(&mut client, "/prices/stream?symbols=A").await);
    }
    assert_eq!(client.current_max_send_streams(), 100);
    let further = begin(&mut client, "GET", "/v1/symbols", None).await;
    drop(streams.pop());
    let answer = tokio::time::timeout(TIMEOUT, further)
        .await
        .expect("the waiting request was never answered")
        .unwrap();
    assert_eq!(answer.status(), 200);
}
