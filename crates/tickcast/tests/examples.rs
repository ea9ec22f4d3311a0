//! Every example, run as a user runs it.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running example.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    /// Starts the example on a free port. `cargo test` builds the examples into a folder beside
    /// that of the tests, unless one target alone is asked for (`--test examples`).
    fn start(name: &str) -> Self {
        let tests = std::env::current_exe().unwrap();
        let program = tests
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples")
            .join(name);
        let mut child = Command::new(program)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a request to the example, and returns the answer until `wanted` is in it, or until it
    /// ends.
    fn ask(address: &str, request: &str, wanted: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        socket
            .write_all(format!("{request}Host: x\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let (mut answer, mut buffer) = (String::new(), [0; 4096]);
        while !answer.contains(wanted) {
            let read = socket.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        answer
    }

    fn address(&mut self) -> String {
        self.line()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn embed_streams_beside_the_routes_of_the_application() {
    let mut example = Example::start("embed");
    let address = example.address();
    assert!(Example::ask(&address, "GET / HTTP/1.1\r\n", "try /prices").contains("200 OK"));
    let stream = Example::ask(
        &address,
        "GET /prices/stream?symbols=AAPL HTTP/1.1\r\n",
        "189.55",
    );
    assert!(
        stream.contains("\"price\":189.50,") || stream.contains("\"price\":189.55,"),
        "{stream}"
    );
}

#[test]
fn channel_streams_what_is_sent() {
    let mut example = Example::start("channel");
    let address = example.address();
    let stream = Example::ask(&address, "GET /prices/stream HTTP/1.1\r\n", "event: tick");
    assert!(stream.contains("event: tick"), "{stream}");
}

#[test]
fn auth_streams_for_those_with_a_token() {
    let mut example = Example::start("auth");
    let address = example.address();
    let refused = Example::ask(&address, "GET /v1/stream HTTP/1.1\r\n", "401");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let reader = "Authorization: Bearer reader\r\n";
    let stream = Example::ask(
        &address,
        &format!("GET /v1/stream HTTP/1.1\r\n{reader}"),
        "event: ready",
    );
    assert!(stream.contains("event: ready"), "{stream}");
    let publish = format!("POST /v1/prices HTTP/1.1\r\n{reader}Content-Length: 0\r\n");
    let refused = Example::ask(&address, &publish, "403");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
}

#[test]
fn reader_reports_the_price_that_reaches_the_limit() {
    let mut example = Example::start("reader");
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.is_empty()) {
        lines.push(example.line());
    }
    assert_eq!(lines[..2], ["AAPL 189.50", "AAPL 189.75"]);
    assert_eq!(lines[lines.len() - 2], "alert: AAPL reached 190.00");
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn bot_publishes_an_index() {
    let mut example = Example::start("bot");
    let address = example.address();
    let stream = Example::ask(
        &address,
        "GET /prices/stream?symbols=INDEX HTTP/1.1\r\n",
        "\"symbol\":\"INDEX\"",
    );
    assert!(stream.contains("\"symbol\":\"INDEX\""), "{stream}");
}
