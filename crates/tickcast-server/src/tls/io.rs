//! A connection over TLS. Its first read makes the handshake, so that a slow client holds up no
//! other, and the time limit for the head of a request also limits the handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The first byte of a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// The answer to a request without TLS.
const PLAIN_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n\
content-length: 107\r\nconnection: close\r\n\r\n\
{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"this port speaks HTTPS: use https://\"}\r\n";

/// Maximum number of bytes that are read and dropped after this answer, so that the client receives
/// it.
const MAX_DROPPED_BYTES: usize = 64 << 10;

/// A connection over TLS.
pub(crate) struct TlsIo(State);

enum State {
    /// The client has sent nothing yet.
    Silent(TcpStream, TlsAcceptor),
    Handshake(Box<Accept<TcpStream>>),
    Open(Box<TlsStream<TcpStream>>),
    /// The client does not speak TLS. This many more bytes are read and dropped.
    Plain(TcpStream, usize),
    Failed,
}

impl TlsIo {
    pub(super) const fn new(socket: TcpStream, acceptor: TlsAcceptor) -> Self {
        Self(State::Silent(socket, acceptor))
    }

    /// Makes the handshake. Returns the open connection, or `None` if there is no TLS on it.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Pin<&mut TlsStream<TcpStream>>>>> {
        loop {
            match &mut self.0 {
                State::Silent(socket, _) => {
                    let mut byte = [0];
                    let read = ready!(socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)))?;
                    let State::Silent(socket, acceptor) =
                        std::mem::replace(&mut self.0, State::Failed)
                    else {
                        return Poll::Ready(Ok(None));
                    };
                    self.0 = match (read, byte) {
                        (0, _) => State::Failed,
                        (_, [HANDSHAKE]) => State::Handshake(Box::new(acceptor.accept(socket))),
                        _ => {
                            // A new socket has room for this.
                            let _ = socket.try_write(PLAIN_REQUEST);
                            State::Plain(socket, MAX_DROPPED_BYTES)
                        }
                    };
                }
                State::Handshake(accept) => {
                    let done = ready!(Pin::new(accept.as_mut()).poll(cx));
                    self.0 = State::Failed;
                    let stream = done.inspect_err(|error| {
                        tracing::debug!(%error, "a TLS handshake failed");
                    })?;
                    self.0 = State::Open(Box::new(stream));
                }
                State::Open(_) => break,
                State::Plain(socket, left) => {
                    let _ = ready!(drop_bytes(socket, left, cx));
                    self.0 = State::Failed;
                }
                State::Failed => return Poll::Ready(Ok(None)),
            }
        }
        match &mut self.0 {
            State::Open(stream) => Poll::Ready(Ok(Some(Pin::new(stream.as_mut())))),
            _ => Poll::Ready(Ok(None)),
        }
    }
}

/// Reads and drops bytes until the client ends, or has sent enough.
fn drop_bytes(
    socket: &mut TcpStream,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut bytes = [0; 1024];
    while *left > 0 {
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            break;
        }
        *left = left.saturating_sub(buffer.filled().len());
    }
    Poll::Ready(Ok(()))
}

impl AsyncRead for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.poll_open(cx))? {
            Some(stream) => stream.poll_read(cx, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for TlsIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx))? {
            Some(stream) => stream.poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Open(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Open(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx))? {
            Some(stream) => stream.poll_write_vectored(cx, parts),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_plain_request_has_the_length_that_it_says() {
        let text = std::str::from_utf8(PLAIN_REQUEST).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
