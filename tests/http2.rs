//! HTTP/2: streams that count, and streams whose window stays closed.

use std::net::SocketAddr;

use axum::http::Request;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};

use crate::bodies::impatient;
use crate::client::Reader;
use crate::server::{SOON, TestServer, eventually};

/// Connects with windows of so many bytes.
async fn connect(address: SocketAddr, window: u32) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) =
        h2::client::Builder::new().initial_window_size(window).handshake(socket).await.unwrap();
    // It goes on answering pings.
    tokio::spawn(connection);
    client
}

/// Begins a request whose body goes on if `more` is to come.
async fn begin(
    client: &mut SendRequest<Bytes>,
    method: &str,
    path: &str,
    more: Option<&'static str>,
) -> ResponseFuture {
    let request = Request::builder().method(method).uri(format!("http://x{path}")).body(()).unwrap();
    *client = client.clone().ready().await.unwrap();
    let (answer, mut body) = client.send_request(request, more.is_none()).unwrap();
    if let Some(more) = more {
        body.send_data(Bytes::from_static(more.as_bytes()), false).unwrap();
        // Dropped, it would be taken back.
        tokio::spawn(async move { std::future::poll_fn(|cx| body.poll_reset(cx)).await });
    }
    answer
}

async fn get(client: &mut SendRequest<Bytes>, path: &str) -> RecvStream {
    let answer = begin(client, "GET", path, None).await.await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body()
}

/// The next bytes, or why there are none.
async fn next(body: &mut RecvStream) -> Result<Bytes, Option<Reason>> {
    let bytes = tokio::time::timeout(SOON, body.data()).await.expect("it is held open for ever");
    bytes.expect("it has ended in order").map_err(|error| error.reason())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_closed_is_reset() {
    let (address, hub) = impatient().await;
    let pad = "x".repeat(900);
    for i in 0..200 {
        let tick = format!("{{\"symbol\":\"S{i}\",\"price\":1,\"pad\":\"{pad}\"}}");
        hub.publish(&tickcast::Tick::from_json(tick.as_bytes()).unwrap()).unwrap();
    }
    // One that is only quiet, and one whose reader takes what it is sent.
    let mut open = connect(address, 1 << 20).await;
    let mut quiet = get(&mut open, "/prices/stream?symbols=QUIET").await;
    assert!(next(&mut quiet).await.unwrap().starts_with(b"retry: "));
    // Not even a part of the answer; or a part, and then no more. One that fits into a window is not held open.
    let (long, short) = (["/v1/prices", "/prices/stream", "/v1/stream"], ["/v1/symbols", "/v1/prices/S1"]);
    for (window, paths) in [(0, &long[..]), (0, &short), (1, &long), (1, &short), (20_000, &long)] {
        let mut closed = connect(address, window).await;
        for path in paths {
            let mut body = get(&mut closed, path).await;
            let reason = loop {
                match next(&mut body).await {
                    // Nothing is said to be taken: the window stays as it is.
                    Ok(_) => {}
                    Err(reason) => break reason,
                }
            };
            assert_eq!(reason, Some(Reason::CANCEL), "{path}, {window}");
        }
    }
    eventually(async || hub.stats().streams == 1).await;
    hub.publish(&tickcast::Tick::from_json(br#"{"symbol":"QUIET","price":7}"#).unwrap()).unwrap();
    // It was sent nothing in all that time but signs of life.
    while !String::from_utf8_lossy(&next(&mut quiet).await.unwrap()).contains("\"price\":7,") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_not_waited_for() {
    let (address, _hub) = impatient().await;
    let mut client = connect(address, 1 << 20).await;
    let stalled = begin(&mut client, "POST", "/v1/prices", Some("[")).await;
    let answer = tokio::time::timeout(SOON, stalled).await.expect("no answer came").unwrap();
    assert_eq!(answer.status(), 408);
    // The others on the connection know nothing of it.
    assert!(!next(&mut get(&mut client, "/v1/symbols").await).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_without_the_token_is_refused_before_its_body_comes() {
    let server = TestServer::start();
    let address = server.public.strip_prefix("http://").unwrap().parse().unwrap();
    let mut client = connect(address, 1 << 20).await;
    let refused = begin(&mut client, "POST", "/v1/prices", Some("[")).await;
    let answer = tokio::time::timeout(SOON, refused).await.expect("no answer came").unwrap();
    assert_eq!(answer.status(), 401);
}

/// Each takes a place, though they share a connection; and gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_connection_take_places() {
    let server = TestServer::with(&["--source", "none", "--max-connections", "5"]);
    let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("{}/prices/stream?symbols=A", server.public);
    let mut readers = Vec::new();
    // One of the five is the connection's.
    for _ in 0..4 {
        readers.push(Reader::get(&http, &url).await);
    }
    server.wait_for_streams(4).await;
    for url in [url.clone(), format!("{}/v1/stream", server.public)] {
        let answer = http.get(&url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        let busy = tokio::time::timeout(SOON, answer.text()).await.expect("there was a place").unwrap();
        assert!(busy.contains("busy"), "{busy}");
    }
    // Requests that are soon over go on, and so do the streams.
    assert_eq!(http.get(format!("{}/healthz", server.public)).send().await.unwrap().status(), 200);
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

/// More requests at once than a connection may have wait for those before them; the server says how many.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_requests_at_a_time() {
    let (address, _hub) = impatient().await;
    let mut client = connect(address, 1 << 20).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(get(&mut client, "/prices/stream?symbols=A").await);
    }
    assert_eq!(client.current_max_send_streams(), 100);
    let further = begin(&mut client, "GET", "/v1/symbols", None).await;
    drop(streams.pop());
    let answer = tokio::time::timeout(SOON, further).await.expect("it never had its turn").unwrap();
    assert_eq!(answer.status(), 200);
}
