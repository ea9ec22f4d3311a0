//! Request bodies that do not arrive, or that the server does not want.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tickcast::{Hub, SourceOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::faults::{connect, rest};
use crate::server::{TIMEOUT, TOKEN, TestServer, eventually};

/// Write timeout of the test server: long enough for a client that sends, short enough for a test
/// to wait.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The head of a publish request that announces a body of 1 MB.
const POST: &str = "POST /v1/prices HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n";

/// Sends `text` and reads until the server closes the connection.
fn exchange(mut socket: TcpStream, text: &str) -> String {
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    rest(&socket)
}

/// Starts a server with a short write timeout and no token for publishers. Returns its address and
/// its hub.
pub(crate) async fn serve_with_short_timeout() -> (SocketAddr, Hub) {
    let hub = Hub::builder().build();
    let app = hub
        .router()
        .merge(hub.source("http", SourceOptions::default()).router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        tickcast::serve(listener, app)
            .write_timeout(WRITE_TIMEOUT)
            .into_future(),
    );
    (address, hub)
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_without_the_token_is_refused_before_the_body_arrives() {
    let server = TestServer::start();
    for more in [
        "",
        "authorization: Bearer wrong\r\n",
        "expect: 100-continue\r\n",
    ] {
        let answer = exchange(connect(&server), &format!("{POST}{more}\r\n["));
        assert!(
            answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
            "{more}: {answer:?}"
        );
        assert!(
            answer.contains("connection: close\r\n"),
            "{more}: {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{more}: {answer:?}");
    }
    // A client that sends its whole body first still receives the response.
    let answer = exchange(
        connect(&server),
        &format!("{POST}\r\n{}", "[".repeat(1_000_000)),
    );
    assert!(
        answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
        "{answer:?}"
    );
}

/// Opens more connections with bodies that never arrive than there are connection slots. Checks
/// that other clients still connect. Checks that every such connection is answered or closed.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_arrive_hold_no_connection_slots() {
    let server = TestServer::with(&["--source", "none", "--max-connections", "200"]);
    let silent: Vec<_> = (0..270)
        .map(|_| {
            let mut socket = connect(&server);
            socket.write_all(format!("{POST}\r\n[").as_bytes()).unwrap();
            socket
        })
        .collect();
    assert_eq!(server.get("/healthz").await.0, 200);
    let answers: Vec<_> = silent
        .into_iter()
        .map(|socket| exchange(socket, ""))
        .collect();
    let refused = answers
        .iter()
        .filter(|answer| answer.starts_with("HTTP/1.1 401 "))
        .count();
    assert!(
        refused > 0
            && answers
                .iter()
                .all(|answer| answer.is_empty() || answer.contains(" 401 "))
    );
    assert!(
        !server.log().contains("new connections wait"),
        "{}",
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_arriving_times_out() {
    let (address, hub) = serve_with_short_timeout().await;
    let lines = "{\"symbol\":\"A\",\"price\":1}\n{\"symbol\":\"A\",\"price\":2}\n{\"sym";
    let publish = format!("{POST}content-type: application/x-ndjson\r\n\r\n{lines}");
    let stream = "0".repeat(32);
    let change =
        format!("PATCH /v1/streams/{stream} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{");
    for (request, expected) in [
        (publish, "\"accepted\":2"),
        (change, "no data of the body was received for 1s"),
    ] {
        let socket = TcpStream::connect(address).unwrap();
        let answer = tokio::task::spawn_blocking(move || exchange(socket, &request))
            .await
            .unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{answer:?}"
        );
        assert!(
            answer.contains("connection: close\r\n") && answer.contains(expected),
            "{answer:?}"
        );
    }
    assert_eq!(
        hub.stats().tape_ticks,
        2,
        "ticks that arrived before the timeout stay published"
    );
}

/// Checks that the server reads a body as long as bytes arrive, however long the whole body takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_keeps_arriving_is_read_to_its_end() {
    let (address, hub) = serve_with_short_timeout().await;
    let mut socket = TcpStream::connect(address).unwrap();
    let head = "POST /v1/prices HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n";
    write!(socket, "{head}transfer-encoding: chunked\r\n\r\n").unwrap();
    let begin = std::time::Instant::now();
    let mut sent = 0;
    while begin.elapsed() < 2 * WRITE_TIMEOUT {
        let line = format!("{{\"symbol\":\"A\",\"price\":{sent}}}\n");
        write!(socket, "{:x}\r\n{line}\r\n", line.len()).unwrap();
        sent += 1;
        // Wait for each tick: the tick is on the market before the next one is sent.
        eventually(async || hub.stats().tape_ticks == sent).await;
    }
    socket.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains(&format!("\"accepted\":{sent},")),
        "{answer:?}"
    );
}

/// Sends the beginning of a request and returns the first bytes of the response.
async fn begin(address: String, text: String) -> String {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = socket.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Checks the limit on unfinished bodies, which the server buffers. Above the limit a request is
/// refused with status 503. When the other clients leave, the next request is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_buffered_bodies_is_limited() {
    let server = TestServer::start();
    let address = server.public.strip_prefix("http://").unwrap().to_owned();
    let change = format!(
        "PATCH /v1/streams/{} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n{}",
        "0".repeat(32),
        " ".repeat(5000)
    );
    let publish = format!("{POST}authorization: Bearer {TOKEN}\r\ncontent-encoding: zstd\r\n\r\n");
    for (request, limit, end, expected) in [
        (
            &change,
            64,
            format!("{}{{}}", " ".repeat(4998)),
            "HTTP/1.1 404 ",
        ),
        (&publish, 16, String::new(), ""),
    ] {
        let all = (0..=limit).map(|_| Box::pin(begin(address.clone(), request.clone())));
        let first = tokio::time::timeout(TIMEOUT, futures_util::future::select_all(all));
        let (refused, _, others) = first.await.expect("no body was refused");
        assert!(
            refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{refused}"
        );
        assert!(
            refused.contains("retry-after: 5\r\n") && refused.contains("too many "),
            "{refused}"
        );
        drop(others);
        if !expected.is_empty() {
            let whole = format!("{request}{end}");
            eventually(async || {
                begin(address.clone(), whole.clone())
                    .await
                    .starts_with(expected)
            })
            .await;
        }
    }
    let ticks = zstd::encode_all(&br#"{"symbol":"A","price":1}"#[..], 1).unwrap();
    eventually(async || {
        let publish = reqwest::Client::new().post(format!("{}/v1/prices", server.public));
        let publish = publish
            .bearer_auth(TOKEN)
            .header("content-encoding", "zstd")
            .body(ticks.clone());
        publish.send().await.unwrap().status() == 200
    })
    .await;
}
