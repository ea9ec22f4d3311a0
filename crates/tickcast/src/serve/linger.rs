//! The end of a connection whose peer may still be talking.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer is listened to after the last answer: a request of ordinary size gets here within that.
const MAX_LINGER: Duration = Duration::from_secs(5);

/// How long it may be silent meanwhile: longer than a packet is under way.
const LINGER_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most bytes that are read of it. Whoever sends more is told nothing by being listened to.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// How much is read at a time.
const READ_CHUNK_BYTES: usize = 8 << 10;

/// Reads what a peer still says, and drops it. A socket that is closed with something unread resets the connection, and the
/// last answer might be lost.
pub(super) struct Linger {
    left: usize,
    longest: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
    _leave: OwnedSemaphorePermit,
}

impl Linger {
    /// With the leave to do so: those who linger are few, since each keeps its place.
    pub(super) fn new(leave: OwnedSemaphorePermit) -> Self {
        let (longest, silence) = (Box::pin(sleep(MAX_LINGER)), Box::pin(sleep(LINGER_IDLE_TIMEOUT)));
        Self { left: MAX_LINGER_BYTES, longest, silence, _leave: leave }
    }

    /// Done when the peer has ended, too, or it has been long enough.
    pub(super) fn poll(&mut self, socket: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_CHUNK_BYTES];
        loop {
            if self.longest.as_mut().poll(cx).is_ready() || self.silence.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut read))?;
            let length = read.filled().len();
            self.left = self.left.saturating_sub(length);
            if length == 0 || self.left == 0 {
                return Poll::Ready(Ok(()));
            }
            self.silence.as_mut().reset(Instant::now() + LINGER_IDLE_TIMEOUT);
        }
    }
}
