//! Clients that close their sending side after the request: `printf … | nc -N`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::faults::{connect, rest};
use crate::server::{TIMEOUT, TestServer};

fn send_request(server: &TestServer, request: &str) -> TcpStream {
    let mut socket = connect(server);
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

/// Reads until `text` has arrived. Returns everything that was read.
fn until(mut socket: &TcpStream, text: &str) -> String {
    let mut received = String::new();
    while !received.contains(text) {
        let mut bytes = [0; 4096];
        let length = socket.read(&mut bytes).unwrap();
        assert!(length > 0, "the connection ended after {received:?}");
        received += &String::from_utf8_lossy(&bytes[..length]);
    }
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn half_closed_clients_receive_whole_responses() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    for path in [
        "/",
        "/healthz",
        "/v1/candles/A?interval=1s",
        "/v1/prices",
        "/prices/stream?rate=x",
    ] {
        for _ in 0..30 {
            let socket = send_request(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
            socket.shutdown(Shutdown::Write).unwrap();
            let answer = rest(&socket);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(
                length.map(str::parse),
                Some(Ok(body.len())),
                "{path}: {answer:?}"
            );
        }
    }
}

/// Checks that a stream continues after the half close, and that the stream ends with the last
/// chunk.
#[tokio::test(flavor = "multi_thread")]
async fn half_closed_clients_keep_their_streams() {
    let mut server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let streams = ["/prices/stream", "/v1/stream"].map(|path| {
        let socket = send_request(
            &server,
            &format!("GET {path}?symbols=A&heartbeat=60 HTTP/1.1\r\nhost: x\r\n\r\n"),
        );
        socket.shutdown(Shutdown::Write).unwrap();
        until(&socket, "\"price\":1,");
        socket
    });
    for price in ["2", "3"] {
        server.publish(&[("A", price)]).await;
        for socket in &streams {
            until(socket, &format!("\"price\":{price},"));
        }
    }
    server.signal("-TERM");
    for socket in &streams {
        let end = rest(socket);
        assert!(end.ends_with("0\r\n\r\n"), "{end:?}");
    }
    assert_eq!(server.wait().code(), Some(0));
}

/// Checks that the server notices a closed connection without waiting for a price or a heartbeat. A
/// closed connection looks like a half-closed one at first.
#[tokio::test(flavor = "multi_thread")]
async fn closed_readers_are_noticed_immediately() {
    let server = TestServer::start();
    let stream = "GET /prices/stream?symbols=A&heartbeat=60 HTTP/1.1\r\nhost: x\r\n\r\n";
    let direct = send_request(&server, stream);
    let body = send_request(
        &server,
        &format!("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n{stream}"),
    );
    for socket in [&direct, &body] {
        until(socket, ": tickcast\n");
    }
    server.wait_for_streams(2).await;
    for (socket, left) in [(direct, 1), (body, 0)] {
        drop(socket);
        server.wait_for_streams(left).await;
    }
}
