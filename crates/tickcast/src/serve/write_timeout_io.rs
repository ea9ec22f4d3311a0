//! A socket with a write timeout, for connections that are not written by a lane.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection_limit::ConnectionLimit;
use super::linger::Linger;
use super::socket::Socket;

/// The state of an HTTP/1 connection after its last answer, which decides how the socket is
/// treated.
#[derive(Default)]
pub(super) struct ConnectionState {
    /// Whether the answer is a stream, which continues until its reader leaves.
    pub(super) endless: AtomicBool,
    /// Whether the answer was given before the request was read to its end.
    pub(super) unread: AtomicBool,
}

/// A socket that fails and resets the connection if the peer reads nothing for the write timeout
/// while there are bytes to write.
///
/// The deadline is here and not in the body. Code that writes a body stops polling the body while
/// the socket is full, so a body would never notice its own deadline.
pub(super) struct WriteTimeoutIo {
    socket: Socket,
    stall: Duration,
    /// The timer of the write timeout. Set while the socket is full.
    stuck: Option<Pin<Box<Sleep>>>,
    course: Arc<ConnectionState>,
    places: Arc<ConnectionLimit>,
    /// The lingering state. Set after everything was written.
    lingering: Option<Linger>,
}

impl WriteTimeoutIo {
    pub(super) const fn new(
        socket: Socket,
        stall: Duration,
        course: Arc<ConnectionState>,
        places: Arc<ConnectionLimit>,
    ) -> Self {
        Self {
            socket,
            stall,
            stuck: None,
            course,
            places,
            lingering: None,
        }
    }

    /// Returns the result of a write, or an error if the peer was stuck for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = None;
            return poll;
        }
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(sleep(self.stall)));
        ready!(stuck.as_mut().poll(cx));
        // Another poll fails again.
        stuck.as_mut().reset(Instant::now());
        self.socket.reset_on_drop();
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
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP server does not read during an answer, so a reader that has left is detected
        // here.
        if self.course.endless.load(Ordering::Relaxed)
            && self.socket.poll_peek(cx) == Poll::Ready(0)
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        // TCP has nothing to flush. Other connections may hold a whole answer that their peer never
        // reads.
        let poll = Pin::new(&mut self.socket).poll_flush(cx);
        self.watch(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            let poll = Pin::new(&mut this.socket).poll_shutdown(cx);
            ready!(this.watch(cx, poll))?;
            let talking = match this.socket.poll_peek(cx) {
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
