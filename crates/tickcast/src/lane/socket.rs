//! The direct path: plain HTTP/1 sockets that a lane writes directly.

mod ring;

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use slotmap::{Key as _, KeyData};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::OwnedSemaphorePermit;

use super::{Buffered, Key, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};
pub(crate) use ring::{Outgoing, Ring};

/// Maximum ratio of the memory that unsent bytes keep to the unsent bytes.
const PINNED_TIMES: usize = 4;

/// Whether this system has the direct path.
pub(crate) const DIRECT: bool = true;

/// The last chunk, which ends a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Maximum number of events of one poll.
const EVENTS_PER_POLL: usize = 256;

/// The sockets of one lane. They report which sockets are writable again, and which readers have
/// left.
pub(crate) struct Sockets {
    epoll: Arc<AsyncFd<OwnedFd>>,
}

/// An event of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketEvent {
    /// A socket that can accept bytes again.
    Ready(Key),
    /// A reader that sends nothing more. It has left, or it has closed only its half of the
    /// connection.
    Ended(Key),
    /// A reader that has left, or that has sent unexpected bytes.
    Closed(Key),
}

/// The socket of a reader.
pub(crate) struct Socket {
    stream: TcpStream,
    /// The epoll in which the socket is registered, and the key of its registration.
    epoll: Arc<AsyncFd<OwnedFd>>,
    key: Key,
    /// The unsent rest of the current payload. Nothing else is kept for the socket.
    unsent: Bytes,
    /// Whether the body is sent in chunks. A reader of HTTP/1.0 is sent the bare body, up to the
    /// end of the connection.
    chunked: bool,
    /// Whether the socket waits for room. It waits only while it has no room; otherwise each
    /// drained buffer would wake the lane.
    waiting: bool,
    /// Whether the reader may still send something, at best that it has left.
    listening: bool,
    ended: bool,
    _feed: Option<Arc<dyn Send + Sync>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A socket that the HTTP server hands off to a lane.
pub(crate) struct HandedOffSocket {
    /// The connection, which must be non-blocking.
    pub(crate) stream: TcpStream,
    /// The first bytes to send: the head of the response, and the lines that open the stream.
    pub(crate) head: Bytes,
    pub(crate) chunked: bool,
    /// A value that is kept alive as long as the reader is connected.
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
    /// The permit in the connection limit, which is released with the connection.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Sockets {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may change their descriptor; this one cannot"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let epoll = Arc::new(AsyncFd::with_interest(epoll, Interest::READABLE)?);
        Ok(Self { epoll })
    }

    /// Registers a socket under the key of its stream.
    pub(crate) fn admit(&self, handed_off: HandedOffSocket, key: Key) -> io::Result<Socket> {
        let HandedOffSocket {
            stream,
            head,
            chunked,
            feed,
            permit,
        } = handed_off;
        epoll::add(
            self.epoll.get_ref(),
            &stream,
            data(key),
            interest(true, false),
        )?;
        let epoll = Arc::clone(&self.epoll);
        Ok(Socket {
            stream,
            epoll,
            key,
            unsent: head,
            chunked,
            waiting: false,
            listening: true,
            ended: false,
            _feed: feed,
            _permit: permit,
        })
    }

    /// Waits for events and returns at most [`EVENTS_PER_POLL`] events. Further events are returned
    /// by the next call. The caller must handle the events before the next call, because epoll is
    /// level-triggered and would report them again.
    pub(crate) async fn poll_events(&self) -> Vec<SocketEvent> {
        // An error would mean that the runtime shuts down, and the lane with it.
        let Ok(mut guard) = self.epoll.readable().await else {
            return Vec::new();
        };
        let mut events = Vec::with_capacity(EVENTS_PER_POLL);
        let polled = epoll::wait(
            guard.get_inner(),
            spare_capacity(&mut events),
            Some(&Timespec::default()),
        );
        // All events were received, so the next event has to wake the task.
        if !matches!(polled, Ok(EVENTS_PER_POLL)) {
            guard.clear_ready();
        }
        let events = events.iter().map(|event| {
            let key = Key::from(KeyData::from_ffi(event.data.u64()));
            let flags = event.flags;
            if flags.intersects(GONE) {
                SocketEvent::Closed(key)
            } else if flags.contains(EventFlags::RDHUP) {
                SocketEvent::Ended(key)
            } else if flags.contains(EventFlags::IN) {
                SocketEvent::Closed(key)
            } else {
                SocketEvent::Ready(key)
            }
        });
        events.collect()
    }
}

/// The flags of a connection whose reader has left for good.
const GONE: EventFlags = EventFlags::HUP.union(EventFlags::ERR);

fn interest(listening: bool, writable: bool) -> EventFlags {
    let listen = if listening {
        EventFlags::IN | EventFlags::RDHUP
    } else {
        EventFlags::empty()
    };
    if writable {
        listen | EventFlags::OUT
    } else {
        listen
    }
}

fn data(key: Key) -> EventData {
    EventData::new_u64(key.data().as_ffi())
}

impl Socket {
    /// Sends these parts one after the other, as far as there is room. Returns the number of sent
    /// bytes.
    fn send(&self, parts: &[IoSlice<'_>]) -> WriteAttempt {
        loop {
            let sent = (&self.stream).write_vectored(parts);
            if !matches!(&sent, Err(error) if error.kind() == ErrorKind::Interrupted) {
                return sent.into();
            }
        }
    }

    /// Returns the bytes of a payload in the framing of this reader.
    fn framed<'p>(&self, payload: &'p Payload) -> &'p [u8] {
        if self.chunked {
            payload.chunk()
        } else {
            payload.events()
        }
    }

    /// Returns the socket and the bytes of a write, for a batch writer. Returns `None` if unsent
    /// bytes have to be sent first.
    pub(crate) fn sendable<'s>(&'s self, payload: &'s Payload) -> Option<Outgoing<'s>> {
        self.unsent.is_empty().then(|| Outgoing {
            socket: self.stream.as_fd(),
            bytes: self.framed(payload),
        })
    }

    /// Sends the unsent bytes and a payload behind them. Returns the result for the payload.
    fn send_after_unsent(&mut self, payload: &Payload) -> WriteAttempt {
        let bytes = self.framed(payload);
        match self.send(&[IoSlice::new(&self.unsent), IoSlice::new(bytes)]) {
            WriteAttempt::Sent(sent) if sent > self.unsent.len() => {
                let sent = sent - self.unsent.len();
                self.unsent = Bytes::new();
                WriteAttempt::Sent(sent)
            }
            WriteAttempt::Sent(sent) => {
                self.unsent.advance(sent);
                WriteAttempt::Refused
            }
            other => other,
        }
    }

    /// Starts or stops waiting for room.
    fn wait_for_room(&mut self, waiting: bool) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.watch();
        }
    }

    fn watch(&self) {
        let interest = interest(self.listening, self.waiting);
        let _ = epoll::modify(self.epoll.get_ref(), &self.stream, data(self.key), interest);
    }
}

impl From<io::Result<usize>> for WriteAttempt {
    fn from(sent: io::Result<usize>) -> Self {
        match sent {
            Ok(sent) => Self::Sent(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Self::Refused,
            Err(_) => Self::Gone,
        }
    }
}

/// Returns the unsent rest of a payload. A short rest of a long payload is copied, because a shared
/// rest would keep the whole payload in memory.
fn share_unsent(payload: &Payload, rest: &[u8]) -> Bytes {
    if rest.len() * PINNED_TIMES < payload.len() {
        Bytes::copy_from_slice(rest)
    } else {
        payload.share(rest)
    }
}

/// Converts the result of a system call.
impl From<i32> for WriteAttempt {
    fn from(result: i32) -> Self {
        let failed = |_| io::Error::from_raw_os_error(result.saturating_neg());
        usize::try_from(result).map_err(failed).into()
    }
}

impl Sink for Socket {
    type BatchWriter = OneAtATime;

    fn try_write(&self, payload: &Payload) -> WriteAttempt {
        if self.unsent.is_empty() {
            self.send(&[IoSlice::new(self.framed(payload))])
        } else {
            WriteAttempt::Held
        }
    }

    fn complete_write(&mut self, payload: &Payload, attempt: WriteAttempt) -> WriteOutcome {
        let attempt = if attempt == WriteAttempt::Held {
            self.send_after_unsent(payload)
        } else {
            attempt
        };
        let bytes = self.framed(payload);
        match attempt {
            WriteAttempt::Sent(sent) if sent == bytes.len() => {
                self.wait_for_room(false);
                WriteOutcome::Taken
            }
            WriteAttempt::Sent(sent) => {
                self.unsent = share_unsent(payload, &bytes[sent..]);
                self.wait_for_room(true);
                WriteOutcome::Taken
            }
            WriteAttempt::Held | WriteAttempt::Refused => {
                self.wait_for_room(true);
                WriteOutcome::Refused
            }
            WriteAttempt::Gone => WriteOutcome::Gone,
        }
    }

    fn resume(&mut self) -> WriteOutcome {
        while !self.unsent.is_empty() {
            match self.send(&[IoSlice::new(&self.unsent)]) {
                WriteAttempt::Sent(sent) => self.unsent.advance(sent),
                WriteAttempt::Held | WriteAttempt::Refused => {
                    self.wait_for_room(true);
                    return WriteOutcome::Refused;
                }
                WriteAttempt::Gone => return WriteOutcome::Gone,
            }
        }
        // An empty slice would still keep its buffer in memory.
        self.unsent = Bytes::new();
        self.wait_for_room(false);
        WriteOutcome::Taken
    }

    fn stop_listening(&mut self) {
        self.listening = false;
        self.watch();
    }

    fn buffered(&self) -> Option<Buffered> {
        Buffered::of(&self.unsent)
    }

    fn cut(&mut self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn end(&mut self) -> WriteOutcome {
        if !std::mem::replace(&mut self.ended, true) && self.chunked {
            self.unsent = [&self.unsent, LAST_CHUNK].concat().into();
        }
        let outcome = self.resume();
        if outcome == WriteOutcome::Taken {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        outcome
    }
}
