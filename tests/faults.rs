//! What clients and networks do to a server, with real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};

use crate::client::Reader;
use crate::server::{SOON, TestServer, eventually, tickcast};

/// How long the server gives a client for its request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn address(server: &TestServer) -> &str {
    server.public.strip_prefix("http://").unwrap()
}

pub(crate) fn connect(server: &TestServer) -> TcpStream {
    let socket = TcpStream::connect(address(server)).unwrap();
    // A server that never answers fails a test; it does not stop it.
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// Reads until the server ends the connection; what it said, and whether it was a clean end.
pub(crate) fn rest(mut socket: &TcpStream) -> String {
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A thousand readers die with their process: every one is noticed, and nothing is left of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_killed_at_once() {
    let server = TestServer::start();
    let mut command = tickcast(&["bench", "--streams", "1000", "--rate", "0", "--seconds", "1h"]);
    let mut clients = command.args(["--url", &server.public, "--token", "test-token"]).spawn().unwrap();
    server.wait_for_streams(1000).await;
    clients.kill().unwrap();
    clients.wait().unwrap();
    server.wait_for_streams(0).await;
    // It goes on as if nothing had happened.
    let mut reader = Reader::open(&server, "?symbols=AAPL").await;
    server.publish(&[("AAPL", "1")]).await;
    assert_eq!(reader.tick().await.price, "1");
}

/// A hundred thousand streams, opened and closed: memory is what it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_connects_leave_nothing() {
    let server = TestServer::start();
    let churn = async |seconds: &str| {
        let mut command = tickcast(&["bench", "--churn", "--json", "--symbols", "10", "--warm-up", "0s"]);
        command.args(["--url", &server.public, "--token", "test-token", "--seconds", seconds]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["opened"].as_u64().unwrap()
    };
    // What a busy server has needed, its allocator may keep.
    let mut before = 0;
    for _ in 0..4 {
        churn("1s").await;
        before = before.max(server.resident());
    }
    let mut opened = 0;
    while opened < 100_000 {
        opened += churn("2s").await;
    }
    server.wait_for_streams(0).await;
    // What was freed is given back a moment later.
    eventually(async || server.resident() <= before + before / 10).await;
}

/// A thousand readers whose window is closed hold up nobody, and cost next to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_that_take_nothing() {
    const BATCHES: u64 = 100;
    let server = TestServer::start();
    let mut healthy = Reader::open(&server, "?symbols=A*").await;
    let stuck: Vec<_> = (0..1000)
        .map(|_| {
            let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let to: std::net::SocketAddr = address(&server).parse().unwrap();
            socket.connect(&to.into()).unwrap();
            socket.write_all(b"GET /prices/stream?symbols=A* HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            socket
        })
        .collect();
    server.wait_for_streams(1001).await;
    let before = server.resident();
    let mut expected = 0;
    for batch in 0..BATCHES {
        let lines: String = (0..100)
            .map(|i| {
                format!("{{\"symbol\":\"A{i:02}\",\"price\":{batch},\"pad\":\"{}\"}}\n", "x".repeat(500))
            })
            .collect();
        server.post_as("application/x-ndjson", lines).await;
        for _ in 0..100 {
            let tick = healthy.tick().await;
            assert_eq!((tick.price, tick.n), (batch.to_string(), batch + 1));
        }
        expected += 100;
    }
    assert_eq!(expected, 100 * BATCHES);
    // Six megabytes for each of them went by: what grows is the tape, bounded by itself.
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes");
    drop(stuck);
    server.wait_for_streams(1).await;
}

/// A head that does not come, or comes by the byte, or is half an HTTP/2 preface, is waited for so long and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_are_not_waited_for() {
    let server = TestServer::start();
    let begin = Instant::now();
    let beginnings: [&[u8]; 4] = [
        b"",
        b"GET /prices/stream HTTP/1.1\r\nx: ",
        b"PRI * HTTP/2.0\r\n",
        b"POST /v1/prices HTTP/1.1\r\nx: ",
    ];
    let slow = beginnings.map(|beginning| {
        let mut socket = connect(&server);
        tokio::task::spawn_blocking(move || {
            socket.write_all(beginning).unwrap();
            // A byte a second is a client that is alive: it counts for nothing.
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            loop {
                match socket.read(&mut [0; 1024]) {
                    Ok(0) => break,
                    Err(error) if error.kind() == ErrorKind::WouldBlock && beginning.len() > 20 => {
                        let _ = socket.write_all(b"y");
                    }
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                    Ok(_) | Err(_) => {}
                }
            }
            begin.elapsed()
        })
    });
    for ended in join_all(slow).await {
        let ended = ended.unwrap();
        assert!(ended >= HEAD_DEADLINE && ended < 3 * HEAD_DEADLINE, "{ended:?}");
    }
    assert_eq!(server.get("/healthz").await.0, 200);
}

/// A head of more than 32 KiB, or without an end, is refused, whether it asks for a stream or not.
#[tokio::test(flavor = "multi_thread")]
async fn long_heads_are_refused() {
    let server = TestServer::start();
    for path in ["/prices/stream", "/v1/status"] {
        let mut socket = connect(&server);
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
        // It may be sent away before it has said everything.
        let _ = socket.write_all(head.as_bytes());
        let answer = rest(&socket);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{path}: {answer}");

        let mut socket = connect(&server);
        socket.write_all(format!("GET {path} HTTP/1.1\r\n").as_bytes()).unwrap();
        let mut sent = 0;
        while socket.write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").is_ok() {
            sent += 64;
            assert!(sent < 64 << 20, "it listens for ever");
        }
    }
    eventually(async || server.get("/healthz").await.0 == 200).await;
}
