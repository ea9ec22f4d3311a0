//! Behaviour without a free connection slot, and without a free file descriptor.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use crate::client::Reader;
use crate::faults::{connect, rest};
use crate::server::{TIMEOUT, TestServer, eventually};

const STREAM_REQUEST: &[u8] = b"GET /prices/stream?symbols=A HTTP/1.1\r\nhost: x\r\n\r\n";

const INVALID_REQUEST: &[u8] =
    b"GET /prices/stream?rate=x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Requests a stream and waits for the beginning of the response.
fn open(server: &TestServer) -> TcpStream {
    let mut socket = request_stream(server);
    assert!(socket.read(&mut [0; 1024]).unwrap() > 0);
    socket
}

/// Requests a stream.
fn request_stream(server: &TestServer) -> TcpStream {
    let mut socket = connect(server);
    socket.write_all(STREAM_REQUEST).unwrap();
    socket
}

/// Returns how many lines of the log contain `text`.
fn count_log_lines(server: &TestServer, text: &str) -> u64 {
    server
        .log()
        .lines()
        .filter(|line| line.contains(text))
        .count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_above_the_connection_limit_are_asked_to_retry() {
    let server = TestServer::with(&["--source", "none", "--max-connections", "20"]);
    let begin = Instant::now();
    let mut first = Reader::open(&server, "?symbols=A").await;
    let mut others: Vec<_> = (1..20).map(|_| open(&server)).collect();
    for _ in 0..30 {
        let answer = rest(&request_stream(&server));
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"),
            "{answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let retry = body
            .strip_prefix("retry: ")
            .and_then(|rest| rest.strip_suffix("\n: busy\n"));
        assert!(
            (5000..=15_000).contains(&retry.unwrap().parse::<u32>().unwrap()),
            "{body:?}"
        );
    }
    // The same holds for requests that hyper serves. An invalid request is still answered with its
    // error.
    let by_hyper = b"GET /prices/stream HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    for (request, expected) in [
        (&by_hyper[..], ": busy\n"),
        (INVALID_REQUEST, "HTTP/1.1 400 "),
    ] {
        let mut socket = connect(&server);
        socket.write_all(request).unwrap();
        let answer = rest(&socket);
        assert!(answer.contains(expected), "{answer}");
    }
    // Short requests are answered, and open streams are not affected.
    server.publish(&[("A", "1")]).await;
    assert_eq!(first.tick().await.price, "1");
    let lines = count_log_lines(&server, "the stream limit is reached");
    assert!(
        lines >= 1 && lines <= begin.elapsed().as_secs() + 2,
        "{lines} lines"
    );
    drop(others.split_off(10));
    eventually(async || {
        let mut begin = [0; 64];
        let mut socket = request_stream(&server);
        let mut seen = Vec::new();
        while !seen.windows(4).any(|part| part == b"\r\n\r\n") {
            let length = socket.read(&mut begin).unwrap();
            seen.extend_from_slice(&begin[..length]);
        }
        String::from_utf8_lossy(&seen).contains("transfer-encoding: chunked")
    })
    .await;
}

/// Checks a process without free file descriptors. Open streams continue, the log is not flooded,
/// and accepting resumes by itself.
#[tokio::test(flavor = "multi_thread")]
async fn accepting_resumes_after_descriptors_run_out() {
    let server = TestServer::start();
    let mut first = Reader::open(&server, "?symbols=A").await;
    let mut others: Vec<_> = (0..60).map(|_| open(&server)).collect();
    let mut publisher = connect(&server);
    let mut publish = |price: u64| {
        let body = format!("{{\"symbol\":\"A\",\"price\":{price}}}");
        let head = "POST /v1/prices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-token\r\n";
        write!(
            publisher,
            "{head}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    };
    publish(1);
    assert_eq!(first.tick().await.price, "1");
    // At most five descriptor numbers below the limit are free.
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut used: Vec<usize> = numbers
        .map(|entry| number(entry).parse().unwrap())
        .collect();
    used.sort_unstable();
    let highest = used
        .iter()
        .enumerate()
        .take_while(|(below, number)| **number <= below + 5)
        .last()
        .unwrap()
        .1;
    let limit = [
        "--pid",
        &server.pid().to_string(),
        &format!("--nofile={}:", highest + 1),
    ];
    assert!(
        Command::new("prlimit")
            .args(limit)
            .status()
            .unwrap()
            .success()
    );
    let begin = Instant::now();
    let waiting: Vec<_> = (0..30).map(|_| request_stream(&server)).collect();
    server.wait_for_log("cannot accept connections");
    for price in 2..40 {
        publish(price);
        assert_eq!(first.tick().await.price, price.to_string());
    }
    let lines = count_log_lines(&server, "cannot accept connections");
    assert!(lines <= begin.elapsed().as_secs() + 2, "{lines} lines");
    // Closed connections free descriptors, and every waiting client is accepted.
    others.drain(..40);
    for mut socket in &waiting {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert!(socket.read(&mut [0; 1024]).unwrap() > 0);
    }
    // Without free descriptors, the server counted as overloaded for a moment.
    eventually(async || {
        let (streams, refused) = (
            server.metric("tickcast_streams").await,
            server
                .metric("tickcast_streams_refused_total{reason=\"overload\"}")
                .await,
        );
        streams + refused == 1 + 20 + 30
    })
    .await;
}
