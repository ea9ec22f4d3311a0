//! The first request of a connection, read before the server decides which code serves the
//! connection.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use bytes::BytesMut;
use tokio::time::timeout;

use super::framing;
use super::socket::Socket;
use crate::lane::DIRECT;

/// Maximum time for the head of the first request, however slowly its bytes arrive.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a head, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 32 << 10;

/// Maximum number of headers.
pub(super) const MAX_HEADERS: usize = 64;

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Number of bytes per read: more than most heads have.
const READ_CHUNK_BYTES: usize = 2 << 10;

/// The first request of a connection.
pub(super) enum FirstRequest {
    /// A plain request for a stream, and the bytes of the request. The request may use the direct
    /// path.
    Stream(Box<Request<Body>>, BytesMut),
    /// Any other request, and the bytes that were read.
    Other(BytesMut),
    /// A request that must be refused, and the reason.
    Ambiguous(&'static str),
    /// A connection that needs no answer.
    Nothing,
}

/// Reads until the kind of the request is clear. Without `direct`, no stream may use the direct
/// path.
pub(super) async fn read(socket: &mut Socket, direct: bool) -> FirstRequest {
    let direct = direct && DIRECT && matches!(socket, Socket::Tcp(_));
    let (mut bytes, mut looks) = (BytesMut::new(), RetrySchedule::default());
    let reading = async {
        loop {
            let before = bytes.len();
            if matches!(
                socket.read(&mut bytes, READ_CHUNK_BYTES).await,
                Ok(0) | Err(_)
            ) {
                return FirstRequest::Nothing;
            }
            if !looks.are_due(&bytes, before) && bytes.len() < MAX_HEAD_BYTES {
                continue;
            }
            match classify(&bytes, direct) {
                HeadKind::Unclear if bytes.len() < MAX_HEAD_BYTES => {}
                HeadKind::Ambiguous(why) => return FirstRequest::Ambiguous(why),
                HeadKind::Stream(request) => {
                    return FirstRequest::Stream(request, std::mem::take(&mut bytes));
                }
                HeadKind::Unclear | HeadKind::Other => {
                    return FirstRequest::Other(std::mem::take(&mut bytes));
                }
            }
        }
    };
    timeout(HEAD_TIMEOUT, reading)
        .await
        .unwrap_or(FirstRequest::Nothing)
}

/// A schedule for parsing a partial head, so that a head that arrives byte by byte is not parsed
/// again after every byte.
#[derive(Default)]
struct RetrySchedule {
    /// Number of bytes at which the next parse is due, whatever the bytes are. Bytes that are not a
    /// head are thus detected early.
    next: usize,
}

impl RetrySchedule {
    /// Checks whether a parse is due. `before` is the number of bytes before the last read. A parse
    /// is due after an empty line, and when the number of bytes has doubled since the last parse.
    fn are_due(&mut self, bytes: &[u8], before: usize) -> bool {
        let fresh = &bytes[before.saturating_sub(3)..];
        let blank = fresh.windows(2).any(|end| end == b"\n\n")
            || fresh.windows(3).any(|end| end == b"\n\r\n");
        let due = blank || bytes.len() >= self.next;
        if due {
            self.next = bytes.len() * 2;
        }
        due
    }
}

enum HeadKind {
    Stream(Box<Request<Body>>),
    Other,
    Ambiguous(&'static str),
    Unclear,
}

/// Checks whether the bytes are a whole HTTP/1 head. If so, checks whether the head is refused or
/// is a `GET` for a stream without a body.
fn classify(bytes: &[u8], direct: bool) -> HeadKind {
    // The HTTP/2 server has no time limit for the preface, so the preface is read here.
    if bytes.len() < PREFACE.len() && PREFACE.starts_with(bytes) {
        return HeadKind::Unclear;
    }
    if bytes.starts_with(PREFACE) {
        return HeadKind::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Partial) => HeadKind::Unclear,
        Ok(httparse::Status::Complete(length)) => match framing::ambiguity(parsed.headers) {
            Some(why) => HeadKind::Ambiguous(why),
            None => match request(&parsed).filter(wants_stream) {
                Some(_) if length < bytes.len() => {
                    HeadKind::Ambiguous("a request for a stream is the last on its connection")
                }
                Some(request) if direct => HeadKind::Stream(Box::new(request)),
                _ => HeadKind::Other,
            },
        },
        // The HTTP server refuses a head that cannot be parsed.
        Err(_) => HeadKind::Other,
    }
}

fn request(parsed: &httparse::Request<'_, '_>) -> Option<Request<Body>> {
    let version = if parsed.version? == 1 {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    let uri: Uri = parsed.path?.parse().ok()?;
    if parsed.method? != "GET" {
        return None;
    }
    let mut request = Request::new(Body::empty());
    for given in parsed.headers.iter() {
        let name = HeaderName::from_bytes(given.name.as_bytes()).ok()?;
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(given.value).ok()?);
    }
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    Some(request)
}

/// Checks whether the request asks for events, has no body, names its host if required, and needs
/// no other feature of the connection.
fn wants_stream(request: &Request<Body>) -> bool {
    let headers = request.headers();
    let plain = [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::EXPECT,
    ];
    let accepts = |accept: &HeaderValue| {
        accept
            .as_bytes()
            .windows(17)
            .any(|part| part == b"text/event-stream")
    };
    let origin_form =
        request.uri().path_and_query().is_some() && request.uri().authority().is_none();
    let hosted = request.version() == Version::HTTP_10 || headers.contains_key(header::HOST);
    origin_form
        && hosted
        && !plain.iter().any(|name| headers.contains_key(name))
        && (request.uri().path().ends_with("/stream")
            || headers.get(header::ACCEPT).is_some_and(accepts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(text: &str) -> &'static str {
        match classify(text.as_bytes(), DIRECT) {
            HeadKind::Stream(_) => "stream",
            HeadKind::Other => "other",
            HeadKind::Ambiguous(_) => "ambiguous",
            HeadKind::Unclear => "unclear",
        }
    }

    #[test]
    fn only_plain_requests_for_streams_use_the_direct_path() {
        for (text, expected) in [
            ("", "unclear"),
            ("GE", "unclear"),
            ("PRI * HT", "unclear"),
            ("PRI x", "unclear"),
            ("PRI x HTTP/1.1\r\n\r\n", "other"),
            ("GET /prices/stream HTTP/1.1\r\n", "unclear"),
            (
                "GET /prices/stream?symbols=A HTTP/1.1\r\nhost: x\r\n\r\n",
                "stream",
            ),
            ("GET /mine/prices/stream HTTP/1.0\r\n\r\n", "stream"),
            ("GET /prices/stream?symbols=A HTTP/1.1\r\n\r\n", "other"),
            (
                "GET /other HTTP/1.1\r\nhost: x\r\nAccept: text/html, text/event-stream\r\n\r\n",
                "stream",
            ),
            ("GET /other HTTP/1.1\r\nhost: x\r\n\r\n", "other"),
            ("HEAD /prices/stream HTTP/1.1\r\n\r\n", "other"),
            ("POST /prices/stream HTTP/1.1\r\n\r\n", "other"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "other"),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                "ambiguous",
            ),
            ("POST / HTTP/1.1\r\nhost: x\r\n", "unclear"),
            ("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhe", "other"),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
                "ambiguous",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n",
                "ambiguous",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\ncontent-length: +0\r\n\r\n",
                "ambiguous",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
                "ambiguous",
            ),
            (
                "GET http://x/prices/stream HTTP/1.1\r\nhost: x\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\nx : y\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n",
                "other",
            ),
            (
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\nx: a\rb\r\n\r\n",
                "other",
            ),
        ] {
            assert_eq!(verdict(text), expected, "{text:?}");
        }
        let many = (0..65).map(|i| format!("x{i}: y\r\n")).collect::<String>();
        assert_eq!(
            verdict(&format!(
                "GET /prices/stream HTTP/1.1\r\nhost: x\r\n{many}\r\n"
            )),
            "other"
        );
    }

    #[test]
    fn a_head_that_arrives_byte_by_byte_is_not_parsed_after_every_byte() {
        for (line, most) in [("x: y\r\n", 20), ("x: y\n", 20)] {
            let head = format!("GET / HTTP/1.1\r\n{}\n", line.repeat(5000));
            let mut looks = RetrySchedule::default();
            let due =
                (1..=head.len()).filter(|end| looks.are_due(&head.as_bytes()[..*end], end - 1));
            let due: Vec<_> = due.collect();
            assert!(due.len() <= most, "{}", due.len());
            assert_eq!(due.last(), Some(&head.len()), "its end is seen at once");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_without_a_panic(bytes: Vec<u8>, rest in "GET /[ -~\r\n]{0,60}") {
            classify(&bytes, true);
            classify(rest.as_bytes(), true);
        }

        #[test]
        fn a_head_in_two_parts_is_classified_like_a_whole_head(cut in 0usize..60) {
            let text = "GET /prices/stream?symbols=AAPL HTTP/1.1\r\nhost: localhost\r\n\r\n";
            prop_assert_eq!(verdict(&text[..cut]), "unclear");
            let mut looks = RetrySchedule::default();
            looks.are_due(&text.as_bytes()[..cut], 0);
            prop_assert!(looks.are_due(text.as_bytes(), cut), "the end of a head is looked at, however it comes");
        }
    }
}
