//! The bytes of a connection, from its first request on.

use std::time::Duration;

use axum::serve::Listener;
use httparse::Status;
use tickcast::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::http::{hub, routes, run};

/// The first bytes of HTTP/2, whose answers have another form.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// How long a connection is read. After that, only a stream goes on.
const READ_TIME: Duration = Duration::from_secs(180);

/// A listener in memory.
struct Connections(mpsc::Receiver<DuplexStream>);

impl Listener for Connections {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(connection) => (connection, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the server sent over a connection.
struct Heard {
    bytes: Vec<u8>,
    /// Whether the server has closed the connection.
    closed: bool,
}

/// Checks the bytes of a connection. The lowest three bits of the first byte say in how many pieces
/// the others are sent. The server answers in well-formed HTTP/1.1 or closes the connection. A
/// request with an ambiguous end gets one answer, and nothing after it is a request.
pub fn request_head(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let pieces = usize::from(first & 7) + 1;
    let heard = run(converse(bytes, bytes.len() / pieces + 1));
    if bytes.starts_with(PREFACE) {
        return;
    }
    let statuses = statuses(&heard);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let shown = || format!("{statuses:?}: {:?}", String::from_utf8_lossy(&heard.bytes));
    match parsed {
        Ok(Status::Complete(_)) => {
            assert!(!statuses.is_empty(), "no answer");
            if is_ambiguous(request.headers) {
                assert!(heard.closed && statuses == [400], "{}", shown());
            }
            let hosts = request
                .headers
                .iter()
                .filter(|header| named(header, "host"))
                .count();
            if request.version == Some(1) && hosts != 1 {
                assert_eq!(statuses[0] / 100, 4, "{}", shown());
            }
        }
        // The rest of the head never comes.
        Ok(Status::Partial) => assert!(statuses.iter().all(|status| *status >= 400), "{}", shown()),
        Err(_) => assert!(
            heard.closed && statuses.len() <= 1 && statuses.iter().all(|status| *status >= 400),
            "{}",
            shown()
        ),
    }
}

/// Sends the bytes in pieces, then ends the request. Reads what the server sends.
async fn converse(bytes: &[u8], piece: usize) -> Heard {
    let (connect, connections) = mpsc::channel(1);
    let hub = hub();
    let server = serve(Connections(connections), routes(&hub));
    let server = tokio::spawn(server.into_future());
    let (near, far) = tokio::io::duplex(64 << 10);
    connect.send(far).await.expect("the server accepts");
    let (mut reader, mut writer) = tokio::io::split(near);
    let send = async {
        for piece in bytes.chunks(piece) {
            // The server may have answered and closed already.
            if writer.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    };
    let mut heard = Vec::new();
    let receive = tokio::time::timeout(READ_TIME, reader.read_to_end(&mut heard));
    let ((), received) = tokio::join!(send, receive);
    server.abort();
    Heard {
        bytes: heard,
        closed: received.is_ok(),
    }
}

/// Checks whether two servers may disagree on the end of a request with these headers. This is a
/// second implementation of the rule.
fn is_ambiguous(headers: &[httparse::Header<'_>]) -> bool {
    let values = |name| {
        let found = headers.iter().filter(move |header| named(header, name));
        found.map(|header| header.value).collect::<Vec<_>>()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let is_number = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    lengths.len() + codings.len() > 1
        || !lengths.iter().all(is_number)
        || codings
            .iter()
            .any(|value| !value.eq_ignore_ascii_case(b"chunked"))
        || values("host").len() > 1
}

fn named(header: &httparse::Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// Checks that the server sent answers and nothing else. Returns their statuses.
fn statuses(heard: &Heard) -> Vec<u16> {
    let (mut rest, mut found) = (&heard.bytes[..], Vec::new());
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(Status::Complete(length)) = response.parse(rest) else {
            panic!("no answer: {:?}", String::from_utf8_lossy(rest));
        };
        let status = response.code.unwrap_or_default();
        found.push(status);
        rest = &rest[length..];
        // An answer to HEAD has no body.
        if status / 100 == 1 || [204, 304].contains(&status) || rest.starts_with(b"HTTP/1.") {
            continue;
        }
        let value = |name| {
            let header = response.headers.iter().find(|header| named(header, name));
            header.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        if value("transfer-encoding").is_some() {
            rest = after_chunks(rest, heard.closed);
        } else if let Some(length) = value("content-length") {
            let length: usize = length.parse().expect("a length is a number");
            assert!(rest.is_empty() || rest.len() >= length, "the body is whole");
            rest = rest.get(length..).unwrap_or_default();
        } else {
            // The body lasts until the connection ends.
            rest = &[];
        }
    }
    found
}

/// Skips a chunked body. Only the body of an endless answer may be incomplete.
fn after_chunks(mut rest: &[u8], closed: bool) -> &[u8] {
    while !rest.is_empty() {
        let Ok(Status::Complete((start, length))) = httparse::parse_chunk_size(rest) else {
            panic!("no chunk: {:?}", String::from_utf8_lossy(rest));
        };
        let length = usize::try_from(length).expect("a chunk is in memory");
        let Some(after) = rest.get(start + length + 2..) else {
            assert!(!closed, "the chunk is whole");
            return &[];
        };
        assert_eq!(&rest[start + length..start + length + 2], b"\r\n");
        rest = after;
        if length == 0 {
            return rest;
        }
    }
    assert!(!closed, "the body has an end");
    rest
}
