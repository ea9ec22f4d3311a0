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
        Self::post(address, request, "", wanted)
    }

    /// Sends a request with a body, like [`ask`](Self::ask).
    fn post(address: &str, request: &str, body: &str, wanted: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        let request = format!("{request}Host: x\r\nConnection: close\r\n\r\n{body}");
        socket.write_all(request.as_bytes()).unwrap();
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
fn auth_streams_what_the_user_may_read() {
    let mut example = Example::start("auth");
    let address = example.address();
    let stream = |path: &str, cookie: &str, wanted: &str| {
        let request = format!("GET {path} HTTP/1.1\r\n{cookie}");
        Example::ask(&address, &request, wanted)
    };
    let refused = stream("/v1/stream", "", "401");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let log_in = |user: &str| {
        let request = format!("POST /login HTTP/1.1\r\nContent-Length: {}\r\n", user.len());
        let answer = Example::post(&address, &request, user, "welcome");
        let cookie = answer.split("set-cookie: ").nth(1).unwrap();
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    };
    let (free, pro) = (log_in("free"), log_in("pro"));
    let narrow = stream("/v1/stream", &free, "event: ready");
    assert!(
        narrow.contains("97415.39") && !narrow.contains("189.50"),
        "{narrow}"
    );
    let refused = stream("/v1/prices/AAPL", &free, "403");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let wide = stream("/v1/stream", &pro, "event: ready");
    assert!(
        wide.contains("97415.39") && wide.contains("189.50"),
        "{wide}"
    );
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
