//! Request smuggling: two servers could disagree where such a request ends. The server refuses
//! these requests and never answers a request behind them.

use std::io::Write;

use crate::faults::{connect, rest};
use crate::server::TestServer;

/// Sends `request` with another request behind it, and returns the response.
fn exchange(server: &TestServer, request: &str) -> String {
    let mut socket = connect(server);
    // The server may close the connection before the client has sent everything.
    let _ =
        socket.write_all(format!("{request}GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    rest(&socket)
}

const AMBIGUOUS_HEADERS: [(&str, &str); 16] = [
    (
        "both lengths",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "both lengths, the other way round",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ),
    (
        "a length twice",
        "content-length: 0\r\nContent-Length: 0\r\n",
    ),
    ("two lengths", "content-length: 0\r\ncontent-length: 40\r\n"),
    ("a list of lengths", "content-length: 0, 0\r\n"),
    ("a length with a sign", "content-length: +0\r\n"),
    ("a length in hexadecimal", "content-length: 0x0\r\n"),
    ("no length", "content-length:\r\n"),
    (
        "a coding before another",
        "transfer-encoding: chunked, identity\r\n",
    ),
    (
        "a coding twice",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "a coding with something before it",
        "transfer-encoding: \x0bchunked\r\n",
    ),
    ("white space before the colon", "content-length : 0\r\n"),
    ("a folded line", "x: y\r\n content-length: 0\r\n"),
    ("a bare carriage return", "x: y\rcontent-length: 0\r\n"),
    ("a zero byte", "x: y\0\r\n"),
    ("two hosts", "host: y\r\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused_on_both_paths() {
    let server = TestServer::start();
    for target in ["GET /prices/stream", "GET /v1/status", "POST /v1/prices"] {
        for (what, headers) in AMBIGUOUS_HEADERS {
            let answer = exchange(
                &server,
                &format!("{target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n"),
            );
            assert!(
                answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{target}, {what}: {answer:?}"
            );
            assert_eq!(
                answer.matches("HTTP/1.1 ").count(),
                1,
                "{target}, {what}: {answer:?}"
            );
        }
        let answer = exchange(
            &server,
            &format!("{target} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n"),
        );
        assert!(
            answer.starts_with("HTTP/1.0 400 ") || answer.starts_with("HTTP/1.1 400 "),
            "{answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer:?}");
    }
    assert_eq!(server.get("/v1/status").await.1["streams"], 0);
}

/// Checks ambiguous requests on a connection that has had a request before. The server refuses
/// them. A repeated equal length is not ambiguous: the server accepts that length, answers, and
/// then closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_behind_an_earlier_request() {
    let server = TestServer::start();
    let before = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for (what, headers) in AMBIGUOUS_HEADERS {
        let twice = ["a length twice", "two hosts"].contains(&what);
        let request =
            format!("{before}POST /v1/prices HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n");
        let mut socket = connect(&server);
        let _ = socket.write_all(request.as_bytes());
        if twice {
            // Not ambiguous: equal lengths are one length.
            socket.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let answer = rest(&socket);
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{what}: {answer:?}"
        );
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 2 || twice,
            "{what}: {answer:?}"
        );
        let second = &answer[answer.rfind("HTTP/1.1 ").unwrap()..];
        assert!(second.starts_with("HTTP/1.1 4"), "{what}: {answer:?}");
    }
}

/// Checks that an unknown transfer coding is refused before the token is checked, also on a
/// connection that has had a request before.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_transfer_codings_are_refused() {
    let server = TestServer::start();
    let before = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for coding in [
        "gzip, chunked",
        "gzip",
        "identity, chunked",
        "chunked\r\ntransfer-encoding: chunked",
    ] {
        for earlier in ["", before] {
            let request = format!(
                "POST /v1/prices HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {coding}\r\n\r\n"
            );
            let answer = exchange(&server, &format!("{earlier}{request}0\r\n\r\n"));
            let last = &answer[answer.rfind("HTTP/1.1 ").unwrap()..];
            assert!(
                last.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{coding}: {answer:?}"
            );
            assert!(
                last.contains("connection: close\r\n"),
                "{coding}: {answer:?}"
            );
        }
    }
}

/// Checks that a refused request gets a response with a reason, which is better than only a closed
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_gets_a_reason() {
    let server = TestServer::start();
    let answer = exchange(
        &server,
        &format!(
            "GET /prices/stream HTTP/1.1\r\n{}\r\n",
            AMBIGUOUS_HEADERS[0].1
        ),
    );
    assert!(
        answer.contains("content-type: application/problem+json\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("content-length and transfer-encoding cannot be combined"),
        "{answer}"
    );
}

/// Checks both paths, and a connection that has had a request before.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_a_host_and_no_unknown_expectation() {
    let server = TestServer::start();
    let before = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for target in ["GET /prices/stream", "GET /v1/status", "POST /v1/prices"] {
        for earlier in ["", before] {
            let without_host = exchange(&server, &format!("{earlier}{target} HTTP/1.1\r\n\r\n"));
            let expecting = exchange(
                &server,
                &format!("{earlier}{target} HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\n\r\n"),
            );
            for (answer, expected) in [
                (without_host, "400 Bad Request"),
                (expecting, "417 Expectation Failed"),
            ] {
                let last = &answer[answer.rfind("HTTP/1.1 ").unwrap()..];
                assert!(
                    last.starts_with(&format!("HTTP/1.1 {expected}\r\n")),
                    "{target}: {answer:?}"
                );
                assert!(
                    last.contains("connection: close\r\n"),
                    "the connection must close after the refusal: {answer:?}"
                );
            }
        }
    }
    let http1_0 = exchange(&server, "GET /healthz HTTP/1.0\r\n\r\n");
    assert!(
        http1_0.starts_with("HTTP/1.0 200 OK\r\n") || http1_0.starts_with("HTTP/1.1 200 OK\r\n"),
        "{http1_0}"
    );
}
