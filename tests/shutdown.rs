//! Graceful shutdown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};

use crate::client::Reader;
use crate::faults::{address, connect, rest};
use crate::server::{TestServer, eventually, tickcast};

/// The head of a publish request whose body is still arriving.
const PUBLISH: &str = "POST /v1/prices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-token\r\n\
    content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_end_cleanly_at_shutdown() {
    let mut server = TestServer::with(&["--source", "sim"]);
    let readers =
        join_all((0..1000).map(async |_| Reader::open(&server, "?symbols=AAPL").await)).await;
    server.wait_for_streams(1000).await;
    server.signal("-TERM");
    // A body that is cut off gives an error in `event`.
    join_all(
        readers
            .into_iter()
            .map(async |mut reader| while reader.event().await.is_some() {}),
    )
    .await;
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_log("streams end within 1s");
    server.wait_for_log("\"stopped\"");
}

/// Returns a client that requests more than the network buffers can hold, and reads nothing.
async fn stuck(server: &TestServer) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
        .connect(&address(server).parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let mut socket = TcpStream::from(socket);
    socket
        .write_all(&b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000))
        .unwrap();
    // If no more bytes arrive, the server has sent as much as fits.
    let (mut bytes, mut before) = (vec![0; 1 << 20], 0);
    eventually(async || {
        let unread = socket.peek(&mut bytes).unwrap();
        unread > 0 && unread == std::mem::replace(&mut before, unread)
    })
    .await;
    socket
}

/// Checks that unfinished requests end when the server stops.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_requests_do_not_delay_the_shutdown() {
    let mut server = TestServer::with(&["--source", "none", "--drain", "1h"]);
    let partial_requests = [
        "",
        "GET /prices/stream HTTP/1.1\r\nho",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /he",
        PUBLISH,
    ];
    let mut sockets = partial_requests.map(|request| {
        let mut socket = connect(&server);
        socket.write_all(request.as_bytes()).unwrap();
        socket
    });
    sockets[4]
        .write_all(b"19\r\n{\"symbol\":\"A\",\"price\":1}\n\r\n")
        .unwrap();
    eventually(async || server.get("/v1/status").await.1["symbols"] == 1).await;
    for socket in &mut sockets[2..4] {
        socket.read_exact(&mut [0; 15]).unwrap();
    }
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_log("\"stopped\"");
    let answer = rest(&sockets[4]);
    let is_refused = answer.contains("HTTP/1.1 503 ") && answer.contains("the server is stopping");
    assert!(
        is_refused && answer.contains("\"accepted\":1"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shutdown_ends_within_the_drain() {
    let mut server = TestServer::with(&["--source", "none", "--drain", "2s"]);
    let _stuck = stuck(&server).await;
    server.signal("-TERM");
    server.wait_for_log("stopping: ");
    // The admin address still answers during the drain.
    for (path, expected) in [("/readyz", 503), ("/healthz", 200)] {
        let answer = server
            .http
            .get(format!("{}{path}", server.admin))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), expected, "{path}");
    }
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_log("some connections or tasks did not end within 2s");
}

#[tokio::test]
async fn accepting_stops_first_and_a_second_signal_stops_immediately() {
    let mut server = TestServer::with(&["--source", "none", "--drain", "1h"]);
    // A client that reads nothing delays the end.
    let _stuck = stuck(&server).await;
    server.signal("-INT");
    server.wait_for_log("stopping: ");
    let mut refused = 0;
    while TcpStream::connect(address(&server)).is_ok() {
        refused += 1;
        assert!(refused < 10_000, "the server still accepts connections");
    }
    server.signal("-INT");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = tickcast(&["serve", "--listen", &address, "--admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        format!(
            "tickcast: cannot listen on {address} (listen): Address already in use (os error 98)\n"
        )
    );
}

/// `POST /drain` ends the streams and says so to load balancers, while the server goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_the_readers_elsewhere() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let mut reader = crate::resumable::open(&server, "?symbols=A").await;
    reader.stream().await;
    let post = |query: &str| server.http.post(format!("{}/drain{query}", server.admin));
    for query in [
        "?window=11m",
        "?window=soon",
        "?windows=1s",
        "?window=1s&window=2s",
    ] {
        assert_eq!(post(query).send().await.unwrap().status(), 400, "{query}");
    }
    let from_page = post("").header("origin", "https://evil.example");
    assert_eq!(from_page.send().await.unwrap().status(), 403);
    assert_eq!(server.get("/readyz").await.0, 200);
    let answer = post("?window=100ms").send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        (&answer["streams"], &answer["window_s"]),
        (&1.into(), &0.1.into())
    );
    assert_eq!(server.get("/readyz").await.0, 503);
    let bye = reader.until(|event| event.event == "bye").await;
    assert!(bye.data.contains("\"draining\""), "{bye:?}");
    // Reading prices and publishing go on.
    server.publish(&[("A", "2")]).await;
    assert_eq!(server.get("/v1/prices/A").await.1["price"], 2);
}
