//! The direct path: moves the socket of a stream to a lane.

use std::fmt::Write as _;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{Response, StatusCode, Version, header};
use bytes::{BufMut, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::events::Handoff;
use crate::lane::HandedOffSocket;

/// Maximum number of unsent bytes in the system's send buffer. A reader with more unsent bytes is behind, and
/// receives newer data if the data waits in the tape.
const MAX_UNSENT_BYTES: u32 = 16 << 10;

/// Returns the subscription of a response. If middleware changed the status or the content
/// encoding, the body must be used instead of the direct path.
pub(super) fn handoff(response: &mut Response<Body>) -> Option<Handoff> {
    let untouched = response.status() == StatusCode::OK
        && !response.headers().contains_key(header::CONTENT_ENCODING);
    response
        .extensions_mut()
        .remove::<Handoff>()
        .filter(|_| untouched)
}

/// Hands the socket to a lane, which first sends the head of the response.
pub(super) fn hand_over(
    socket: TcpStream,
    version: Version,
    response: &Response<Body>,
    handoff: Handoff,
    permit: Option<OwnedSemaphorePermit>,
) {
    let Handoff {
        hub,
        subscription,
        preamble,
        feed,
    } = handoff;
    let chunked = version == Version::HTTP_11;
    let mut bytes = head(
        response,
        if chunked {
            "transfer-encoding: chunked\r\n"
        } else {
            ""
        },
    );
    if chunked {
        let _ = write!(bytes, "{:x}\r\n", preamble.len());
    }
    bytes.put(preamble);
    if chunked {
        bytes.put(&b"\r\n"[..]);
    }
    let Ok(stream) = socket.into_std() else {
        return;
    };
    tune(&stream, hub.send_buffer());
    hub.open_socket(
        HandedOffSocket {
            stream,
            head: bytes.freeze(),
            chunked,
            feed,
            permit,
        },
        subscription,
    );
}

/// Sets small buffers, so that waiting data stays behind the cursor and does not become stale in
/// the kernel.
fn tune(stream: &std::net::TcpStream, send_buffer: usize) {
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES);
    let _ = socket.set_send_buffer_size(send_buffer);
}

/// Writes the status line and the headers. `framing` gives the length of the body. The connection
/// ends with the response.
pub(super) fn head(response: &Response<Body>, framing: &str) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(512);
    bytes.put(&b"HTTP/1.1 200 OK\r\n"[..]);
    let ours = [header::CONTENT_LENGTH, header::CONNECTION];
    for (name, value) in response
        .headers()
        .iter()
        .filter(|(name, _)| !ours.contains(name))
    {
        bytes.put(name.as_str().as_bytes());
        bytes.put(&b": "[..]);
        bytes.put(value.as_bytes());
        bytes.put(&b"\r\n"[..]);
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let _ = write!(bytes, "date: {date}\r\n{framing}connection: close\r\n\r\n");
    bytes
}
