//! Limits for each address of clients, also behind trusted proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::client::Reader;
use crate::faults::connect;
use crate::resumable::short;
use crate::server::{TIMEOUT, TestServer, eventually, tickcast};

async fn open(server: &TestServer, forwarded: Option<&str>) -> Reader {
    let mut request = server
        .http
        .get(format!("{}/v1/stream?symbols=A", server.public));
    if let Some(addresses) = forwarded {
        request = request.header("x-forwarded-for", addresses);
    }
    Reader::send(request).await
}

/// Returns the first event, without its position.
async fn first(reader: &mut Reader) -> String {
    let event = reader.event().await.unwrap();
    short(&event).split(" @").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_streams() {
    let server = TestServer::with(&["--source", "none", "--max-streams-per-address", "2"]);
    server.publish(&[("A", "1")]).await;
    let (mut one, mut two) = (open(&server, None).await, open(&server, None).await);
    assert_eq!(first(&mut one).await, "tick A 1=1");
    assert_eq!(first(&mut two).await, "tick A 1=1");
    // Nobody believes a header that anyone can send.
    for forged in [None, Some("198.51.100.7")] {
        assert_eq!(first(&mut open(&server, forged).await).await, "bye busy");
    }
    drop(one);
    eventually(async || first(&mut open(&server, None).await).await == "tick A 1=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own() {
    let server = TestServer::with(&[
        "--source",
        "none",
        "--max-streams-per-address",
        "1",
        "--trusted-proxies",
        "127.0.0.0/8,10.0.0.0/8",
    ]);
    server.publish(&[("A", "1")]).await;
    let mut readers = Vec::new();
    for client in ["198.51.100.7", "198.51.100.8", "2001:db8:1:1::1"] {
        let mut reader = open(&server, Some(client)).await;
        assert_eq!(first(&mut reader).await, "tick A 1=1", "{client}");
        readers.push(reader);
    }
    // The same client, also with a forged address before its own, or from its own network.
    for again in [
        "198.51.100.7",
        "203.0.113.9, 198.51.100.7",
        "203.0.113.9, 198.51.100.8, 10.1.2.3",
        "2001:db8:1:1:ffff::2",
    ] {
        assert_eq!(
            first(&mut open(&server, Some(again)).await).await,
            "bye busy",
            "{again}"
        );
    }
}

#[test]
fn networks_that_are_none_are_refused() {
    for bad in ["10.0.0.0/33", "proxy.example", "10.0.0.1"] {
        let output = tickcast(&["config", "check", "--trusted-proxies", bad])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("trusted-proxies"));
    }
}

/// Sends a header of the PROXY protocol and a request for a stream. Returns what is answered, up to
/// the first event or to the end.
fn behind_proxy(server: &TestServer, header: &[u8]) -> String {
    let mut socket = connect(server);
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = b"GET /v1/stream?symbols=A HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // The server may have closed the connection already.
    let _ = socket.write_all(&[header, request].concat());
    let (mut answer, mut bytes) = (String::new(), [0; 1024]);
    while !answer.contains("\ndata: ") {
        match socket.read(&mut bytes) {
            Ok(length @ 1..) => answer.push_str(&String::from_utf8_lossy(&bytes[..length])),
            Ok(0) | Err(_) => break,
        }
    }
    // The stream stays open, so that it counts.
    std::mem::forget(socket);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_names_its_client_in_front_of_the_connection() {
    let arguments = ["--source", "none", "--max-streams-per-address", "1"];
    let proxy = ["--trusted-proxies", "127.0.0.2/32", "--proxy-protocol"];
    let server = TestServer::with(&[&arguments[..], &proxy].concat());
    server.publish(&[("A", "1")]).await;
    // Nobody else may send such a header: to this server, it is no HTTP.
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let refused = behind_proxy(&server, line);
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    let mut own = open(&server, None).await;
    assert_eq!(first(&mut own).await, "tick A 1=1");

    let server = TestServer::with(
        &[
            &arguments[..],
            &["--trusted-proxies", "127.0.0.1/32", "--proxy-protocol"],
        ]
        .concat(),
    );
    for (header, answer) in [
        (&line[..], "event: ready"),
        (line, "\"busy\""),
        (b"PROXY TCP4 192.0.2.8 198.51.100.1 4711 443\r\n", "event: "),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb",
            "\"busy\"",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\x12\x67\x01\xbb",
            "event: ",
        ),
    ] {
        let told = behind_proxy(&server, header);
        assert!(
            told.starts_with("HTTP/1.1 200 OK") && told.contains(answer),
            "{header:?}: {told}"
        );
    }
    for bad in [
        &b""[..],
        b"PROXY TCP4 nobody 198.51.100.1 4711 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[b'P'; 200],
        &[b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
    ] {
        assert_eq!(behind_proxy(&server, bad), "", "{bad:?}");
    }
    server.wait_for_log("a connection of a proxy is closed");
}

/// Starts a server behind a proxy on this machine that sends a PROXY header.
fn trusting(more: &[&str]) -> TestServer {
    let proxy = ["--trusted-proxies", "127.0.0.1/32", "--proxy-protocol"];
    TestServer::with(&[&["--source", "none"], &proxy[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_header_holds_up_no_other() {
    let server = trusting(&["--tls", "self-signed"]);
    let connect = || TcpStream::connect(server.public.trim_start_matches("https://")).unwrap();
    let mut slow = connect();
    slow.write_all(b"PROXY TCP4 192.0.2.7").unwrap();
    // The header comes before TLS.
    let mut other = connect();
    other.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    other.write_all(request).unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("this port speaks HTTPS"), "{answer}");
    drop(slow);
}

/// A proxy that does not know its client does not vouch for what the client says.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_client_cannot_choose_its_address() {
    let server = trusting(&["--max-streams-per-address", "1"]);
    let open = |address: &str| {
        let mut socket = connect(&server);
        let request = format!(
            "PROXY UNKNOWN\r\nGET /v1/stream HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {address}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(socket).lines().map(Result::unwrap);
        let event = lines.find(|line| line.starts_with("event: ")).unwrap();
        (event, lines)
    };
    let (first, _open) = open("192.0.2.1");
    assert_ne!(first, "event: bye");
    assert_eq!(open("192.0.2.2").0, "event: bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_opens_so_many_streams_a_second() {
    let server = TestServer::with(&["--source", "none", "--max-opens-per-address", "2"]);
    server.publish(&[("A", "1")]).await;
    eventually(async || first(&mut open(&server, None).await).await == "bye busy").await;
    eventually(async || first(&mut open(&server, None).await).await == "tick A 1=1").await;
}

#[test]
fn the_proxy_protocol_needs_proxies() {
    let output = tickcast(&["config", "check", "--proxy-protocol"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("proxy_protocol needs trusted_proxies"),
        "{error}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_of_a_proxy_hold_up_no_other() {
    let server = trusting(&[]);
    let silent: Vec<_> = (0..200).map(|_| connect(&server)).collect();
    let answer = behind_proxy(&server, b"PROXY UNKNOWN\r\n");
    assert!(answer.contains("event: "), "{answer}");
    drop(silent);
}
