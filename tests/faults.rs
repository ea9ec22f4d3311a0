//! Faults of clients and networks, with real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};

use crate::client::Reader;
use crate::server::{TIMEOUT, TestServer, eventually, tickcast};

/// Time that the server gives a client to send the head of its request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn address(server: &TestServer) -> &str {
    server.public.strip_prefix("http://").unwrap()
}

pub(crate) fn connect(server: &TestServer) -> TcpStream {
    let socket = TcpStream::connect(address(server)).unwrap();
    // If the server never answers, the test fails and does not hang.
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// Reads until the server closes the connection, cleanly or with a reset. Returns everything that
/// the server sent.
pub(crate) fn rest(mut socket: &TcpStream) -> String {
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Kills 1,000 readers with their process. Checks that the server notices every one, and that
/// nothing of them is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_killed_clients_leave_nothing_behind() {
    let server = TestServer::start();
    let mut command = tickcast(&[
        "bench",
        "--streams",
        "1000",
        "--rate",
        "0",
        "--seconds",
        "1h",
    ]);
    let mut clients = command
        .args(["--url", &server.public, "--token", "test-token"])
        .spawn()
        .unwrap();
    server.wait_for_streams(1000).await;
    clients.kill().unwrap();
    clients.wait().unwrap();
    server.wait_for_streams(0).await;
    // The server continues as before.
    let mut reader = Reader::open(&server, "?symbols=AAPL").await;
    server.publish(&[("AAPL", "1")]).await;
    assert_eq!(reader.tick().await.price, "1");
}

/// Opens and closes 100,000 streams. Checks that the memory of the server is as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_connections_leave_no_memory_behind() {
    let server = TestServer::start();
    let churn = async |seconds: &str| {
        let mut command = tickcast(&[
            "bench",
            "--churn",
            "--json",
            "--symbols",
            "10",
            "--warm-up",
            "0s",
        ]);
        command.args([
            "--url",
            &server.public,
            "--token",
            "test-token",
            "--seconds",
            seconds,
        ]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["opened"].as_u64().unwrap()
    };
    // The allocator may keep memory that a busy server has needed.
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
    // The allocator returns freed memory a moment later.
    eventually(async || server.resident() <= before + before / 10).await;
}

/// Checks that 1,000 readers with a closed receive window delay no other reader and use very little
/// memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_stalled_readers_do_not_delay_others() {
    const BATCHES: u64 = 100;
    let server = TestServer::start();
    let mut healthy = Reader::open(&server, "?symbols=A*").await;
    let stuck: Vec<_> = (0..1000)
        .map(|_| {
            let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let to: std::net::SocketAddr = address(&server).parse().unwrap();
            socket.connect(&to.into()).unwrap();
            socket
                .write_all(b"GET /prices/stream?symbols=A* HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            socket
        })
        .collect();
    server.wait_for_streams(1001).await;
    let before = server.resident();
    let mut expected = 0;
    for batch in 0..BATCHES {
        let lines: String = (0..100)
            .map(|i| {
                format!(
                    "{{\"symbol\":\"A{i:02}\",\"price\":{batch},\"pad\":\"{}\"}}\n",
                    "x".repeat(500)
                )
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
    // Six megabytes for each reader were published. Only the tape grows, and the tape has its own
    // limit.
    let growth = server.resident().saturating_sub(before);
    assert!(growth < 100 << 20, "{growth} bytes");
    drop(stuck);
    server.wait_for_streams(1).await;
}

/// Checks that the server closes the connection if a request head is late: no bytes, one byte at a
/// time, or half an HTTP/2 preface.
#[tokio::test(flavor = "multi_thread")]
async fn slow_request_heads_time_out() {
    let server = TestServer::start();
    let begin = Instant::now();
    let partial_heads: [&[u8]; 4] = [
        b"",
        b"GET /prices/stream HTTP/1.1\r\nx: ",
        b"PRI * HTTP/2.0\r\n",
        b"POST /v1/prices HTTP/1.1\r\nx: ",
    ];
    let slow = partial_heads.map(|partial_head| {
        let mut socket = connect(&server);
        tokio::task::spawn_blocking(move || {
            socket.write_all(partial_head).unwrap();
            // A byte per second shows that the client is alive. The deadline of the head stays the
            // same.
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            loop {
                match socket.read(&mut [0; 1024]) {
                    Ok(0) => break,
                    Err(error)
                        if error.kind() == ErrorKind::WouldBlock && partial_head.len() > 20 =>
                    {
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
        assert!(
            ended >= HEAD_DEADLINE && ended < 3 * HEAD_DEADLINE,
            "{ended:?}"
        );
    }
    assert_eq!(server.get("/healthz").await.0, 200);
}

/// Checks that the server refuses a head that is longer than 32 KiB or that has no end, for streams
/// and for other requests.
#[tokio::test(flavor = "multi_thread")]
async fn long_request_heads_are_refused() {
    let server = TestServer::start();
    for path in ["/prices/stream", "/v1/status"] {
        let mut socket = connect(&server);
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
            "y".repeat(64 << 10)
        );
        // The server may close the connection before the client has sent everything.
        let _ = socket.write_all(head.as_bytes());
        let answer = rest(&socket);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{path}: {answer}"
        );

        let mut socket = connect(&server);
        socket
            .write_all(format!("GET {path} HTTP/1.1\r\n").as_bytes())
            .unwrap();
        let mut sent = 0;
        while socket
            .write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
            .is_ok()
        {
            sent += 64;
            assert!(sent < 64 << 20, "the server reads a head without a limit");
        }
    }
    eventually(async || server.get("/healthz").await.0 == 200).await;
}
