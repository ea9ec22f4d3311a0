//! Lingering close: the end of a connection whose peer may still be sending.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use super::socket::Socket;

/// Maximum time to linger after the last answer. A request of normal size arrives within this time.
const MAX_LINGER: Duration = Duration::from_secs(5);

/// Maximum silence of the peer in that time: longer than a packet is in transit.
const LINGER_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes that are read while lingering. If a peer sends more, further reading
/// does not help the peer to receive the answer.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// Number of bytes per read.
const READ_CHUNK_BYTES: usize = 8 << 10;

/// Reads and discards the bytes that a peer still sends. If a socket is closed with unread bytes,
/// the connection is reset, and the last answer may be lost.
pub(super) struct Linger {
    left: usize,
    longest: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
    _leave: OwnedSemaphorePermit,
}

impl Linger {
    /// Starts to linger with a permit. Few connections may linger, because each keeps its
    /// connection permit.
    pub(super) fn new(leave: OwnedSemaphorePermit) -> Self {
        let (longest, silence) = (
            Box::pin(sleep(MAX_LINGER)),
            Box::pin(sleep(LINGER_IDLE_TIMEOUT)),
        );
        Self {
            left: MAX_LINGER_BYTES,
            longest,
            silence,
            _leave: leave,
        }
    }

    /// Reads until the peer has also ended the connection, or until a limit is reached.
    pub(super) fn poll(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_CHUNK_BYTES];
        loop {
            if self.longest.as_mut().poll(cx).is_ready()
                || self.silence.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut read))?;
            let length = read.filled().len();
            self.left = self.left.saturating_sub(length);
            if length == 0 || self.left == 0 {
                return Poll::Ready(Ok(()));
            }
            self.silence
                .as_mut()
                .reset(Instant::now() + LINGER_IDLE_TIMEOUT);
        }
    }
}
