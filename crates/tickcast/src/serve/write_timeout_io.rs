//! A socket that gives a stuck peer up, for connections that something else than a lane writes to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::connection_limit::ConnectionLimit;
use super::linger::Linger;

/// What is known of an HTTP/1 connection's last answer, and decides how the socket is treated.
#[derive(Default)]
pub(super) struct ConnectionState {
    /// The answer is a stream: it goes on until its reader leaves.
    pub(super) endless: AtomicBool,
    /// It was given before the request was read to its end.
    pub(super) unread: AtomicBool,
}

/// Fails, and resets the connection, once its peer has taken nothing of what there is to write for so long.
///
/// The deadline is kept here and not in the body that is being written: whoever writes it stops asking for more as long as
/// the socket is full, so a body would never hear of its own deadline.
pub(super) struct WriteTimeoutIo {
    socket: TcpStream,
    stall: Duration,
    /// Set while the socket is full.
    stuck: Option<Pin<Box<Sleep>>>,
    course: Arc<ConnectionState>,
    places: Arc<ConnectionLimit>,
    /// Set once everything is written.
    lingering: Option<Linger>,
}

impl WriteTimeoutIo {
    pub(super) const fn new(
        socket: TcpStream,
        stall: Duration,
        course: Arc<ConnectionState>,
        places: Arc<ConnectionLimit>,
    ) -> Self {
        Self { socket, stall, stuck: None, course, places, lingering: None }
    }

    /// How many bytes could be read at once: none where the peer has ended.
    fn peek(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut byte = [0];
        self.socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)).map(Result::unwrap_or_default)
    }

    /// What `poll` of a write came to, unless the peer has been stuck for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = None;
            return poll;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(self.stall)));
        ready!(stuck.as_mut().poll(cx));
        // Looked at once more, it fails again.
        stuck.as_mut().reset(Instant::now());
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeoutIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for WriteTimeoutIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever answers reads nothing meanwhile. That a stream's reader has left is seen here.
        if self.course.endless.load(Ordering::Relaxed) && self.peek(cx) == Poll::Ready(0) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
            let talking = match this.peek(cx) {
                Poll::Ready(bytes) => bytes > 0,
                Poll::Pending => this.course.unread.load(Ordering::Relaxed),
            };
            this.lingering = this.places.linger().filter(|_| talking).map(Linger::new);
        }
        match &mut this.lingering {
            Some(lingering) => lingering.poll(&mut this.socket, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
