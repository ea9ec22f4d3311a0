//! The end, in order.

use futures_util::future::join_all;

use crate::client::Reader;
use crate::server::{TestServer, tickcast};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_end_cleanly() {
    let mut server = TestServer::with(&["--source", "sim"]);
    let readers = join_all((0..1000).map(async |_| Reader::open(&server, "?symbols=AAPL").await)).await;
    server.wait_for_streams(1000).await;
    server.signal("-TERM");
    // A body that is cut, not ended, is an error in `event`.
    join_all(readers.into_iter().map(async |mut reader| while reader.event().await.is_some() {})).await;
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_log("streams end within 1s");
    server.wait_for_log("\"stopped\"");
}

#[tokio::test]
async fn readiness_goes_first_and_a_second_signal_does_not_wait() {
    let mut server = TestServer::with(&["--source", "none", "--drain", "1h"]);
    // A reader who takes nothing holds the end up.
    let mut stuck = std::net::TcpStream::connect(server.public.strip_prefix("http://").unwrap()).unwrap();
    std::io::Write::write_all(&mut stuck, b"POST /v1/prices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-token\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n").unwrap();
    let mut line = [0; 12];
    std::io::Read::read_exact(&mut stuck, &mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 100");
    server.signal("-INT");
    server.wait_for_log("stopping: ");
    let mut refused = 0;
    while std::net::TcpStream::connect(server.public.strip_prefix("http://").unwrap()).is_ok() {
        refused += 1;
        assert!(refused < 10_000, "it still accepts");
    }
    server.signal("-INT");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = tickcast(&["serve", "--listen", &address, "--admin", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let says = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        says,
        format!("tickcast: cannot listen on {address} (listen): Address already in use (os error 98)\n")
    );
}
