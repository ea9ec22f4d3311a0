//! The two kinds of connections: TCP sockets, and all others.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Maximum time that a peer may leave data unacknowledged, or keep its window closed, before the
/// system ends the connection. A silent stream receives a comment after 15 s, so a reader that
/// vanished is noticed within 45 s.
const USER_TIMEOUT: Duration = Duration::from_secs(28);

/// Idle time before the first TCP keep-alive probe, the interval between probes, and the number of
/// probes.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// Anything that bytes can be read from and written to.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<I: AsyncRead + AsyncWrite + Send + Unpin> Connection for I {}

/// The socket of a connection. Streams over TCP can move to a lane. All other connections, for
/// example over Unix sockets or TLS, are served by hyper.
pub(super) enum Socket {
    Tcp(TcpStream),
    Other(Box<dyn Connection>),
}

impl Socket {
    /// Sorts a connection by its type.
    pub(super) fn new<I: Connection + 'static>(io: I) -> Self {
        let mut io = Some(io);
        match (&mut io as &mut dyn Any)
            .downcast_mut::<Option<TcpStream>>()
            .and_then(Option::take)
        {
            Some(socket) => Self::Tcp(socket),
            None => {
                Self::Other(io.map_or_else(|| unreachable!("nothing was taken"), |io| Box::new(io)))
            }
        }
    }

    /// Reads into `bytes`, which has room for `room` more bytes from now on. Returns the number of
    /// bytes. An idle TCP connection holds no memory, because the room is made only when bytes have
    /// arrived.
    ///
    /// # Errors
    /// If the connection has failed.
    pub(super) async fn read(&mut self, bytes: &mut BytesMut, room: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => loop {
                socket.readable().await?;
                bytes.reserve(room);
                match socket.try_read_buf(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
            Self::Other(io) => {
                bytes.reserve(room);
                io.read_buf(bytes).await
            }
        }
    }

    /// Returns the number of bytes that can be read now, at most one. The number is 0 if the peer
    /// has ended the connection. Only TCP can tell.
    pub(super) fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut byte = [0];
        match self {
            Self::Tcp(socket) => socket
                .poll_peek(cx, &mut ReadBuf::new(&mut byte))
                .map(Result::unwrap_or_default),
            Self::Other(_) => Poll::Pending,
        }
    }

    /// Arranges that the connection is reset when the socket is dropped. Unsent bytes are
    /// discarded.
    pub(super) fn reset_on_drop(&self) {
        if let Self::Tcp(socket) = self {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn connection(&mut self) -> Pin<&mut dyn Connection> {
        match self {
            Self::Tcp(socket) => Pin::new(socket),
            Self::Other(io) => Pin::new(io.as_mut()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Other(io) => io.is_write_vectored(),
        }
    }
}

/// Sets the socket options that [`serve`](crate::serve()) sets for each TCP connection. Call it in
/// a listener of your own over TCP, for example one with TLS.
///
/// Nagle's algorithm is off, because a batch is written as a whole. Keep-alive and user timeout end
/// connections to peers that are gone, or that read nothing for 28 s. Options that the system does
/// not support are skipped.
pub fn set_socket_options(socket: &TcpStream) {
    set_options(&SockRef::from(socket));
}

/// Sets the same options of the connections of a listener. Linux copies them to each connection,
/// which saves five system calls a connection; elsewhere, this does nothing. Returns whether new
/// connections have the options.
pub(super) fn set_options_of_connections(listener: &TcpListener) -> bool {
    let inherited = cfg!(target_os = "linux");
    if inherited {
        set_options(&SockRef::from(listener));
    }
    inherited
}

fn set_options(socket: &SockRef<'_>) {
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}
