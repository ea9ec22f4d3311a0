//! Clients that end their half of the connection with their request: `printf … | nc -N`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::faults::{connect, rest};
use crate::server::{SOON, TestServer};

fn ask(server: &TestServer, request: &str) -> TcpStream {
    let mut socket = connect(server);
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

/// Reads until `text` has been said.
fn until(mut socket: &TcpStream, text: &str) -> String {
    let mut said = String::new();
    while !said.contains(text) {
        let mut bytes = [0; 4096];
        let length = socket.read(&mut bytes).unwrap();
        assert!(length > 0, "it ended with {said:?}");
        said += &String::from_utf8_lossy(&bytes[..length]);
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn their_requests_are_answered_whole() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    for path in ["/", "/healthz", "/v1/candles/A?interval=1s", "/v1/prices", "/prices/stream?rate=x"] {
        for _ in 0..30 {
            let socket = ask(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
            socket.shutdown(Shutdown::Write).unwrap();
            let answer = rest(&socket);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(length.map(str::parse), Some(Ok(body.len())), "{path}: {answer:?}");
        }
    }
}

/// The stream goes on, and its end is one.
#[tokio::test(flavor = "multi_thread")]
async fn their_streams_go_on() {
    let mut server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let streams = ["/prices/stream", "/v1/stream"].map(|path| {
        let socket = ask(&server, &format!("GET {path}?symbols=A&heartbeat=60 HTTP/1.1\r\nhost: x\r\n\r\n"));
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

/// One who has left looks the same at first. It is noticed without waiting for a price, or for the next sign of life.
#[tokio::test(flavor = "multi_thread")]
async fn readers_who_leave_are_noticed_at_once() {
    let server = TestServer::start();
    let stream = "GET /prices/stream?symbols=A&heartbeat=60 HTTP/1.1\r\nhost: x\r\n\r\n";
    let direct = ask(&server, stream);
    let body = ask(&server, &format!("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n{stream}"));
    for socket in [&direct, &body] {
        until(socket, ": tickcast\n");
    }
    server.wait_for_streams(2).await;
    for (socket, left) in [(direct, 1), (body, 0)] {
        drop(socket);
        server.wait_for_streams(left).await;
    }
}
