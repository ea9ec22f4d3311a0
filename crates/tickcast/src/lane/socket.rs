//! The direct path: plain HTTP/1 sockets that a lane writes straight into.

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

/// What a reader has yet to take keeps at most so many times as much in memory.
const PINNED_TIMES: usize = 4;

/// Whether there is a direct path on this system.
pub(crate) const DIRECT: bool = true;

/// How the end of a body is told to a reader of chunks.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Most events that one look at the sockets takes in.
const EVENTS_PER_POLL: usize = 256;

/// The sockets of one lane: tells which of them can be written again, or have been left.
pub(crate) struct Sockets {
    epoll: Arc<AsyncFd<OwnedFd>>,
}

/// What has become of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketEvent {
    /// It can take bytes again.
    Ready(Key),
    /// Its reader says no more: it has left, or only ended its own half of the connection.
    Ended(Key),
    /// Its reader has left, or has said more than a reader has to say.
    Closed(Key),
}

/// A reader's socket.
pub(crate) struct Socket {
    stream: TcpStream,
    /// Where it is registered, and under which number.
    epoll: Arc<AsyncFd<OwnedFd>>,
    key: Key,
    /// What is left of the piece it is in the middle of: nothing else is kept for it.
    unsent: Bytes,
    /// Whether the body is sent in chunks; a reader of HTTP/1.0 is sent it bare, up to the end of the connection.
    chunked: bool,
    /// Whether it wants to hear of room. Only while it has none: each drained buffer would wake the lane otherwise.
    waiting: bool,
    /// Whether its reader may still say something: that it has left, at best.
    listening: bool,
    ended: bool,
    _feed: Option<Arc<dyn Send + Sync>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A socket that leaves the HTTP server for a lane.
pub(crate) struct HandedOffSocket {
    /// It must not block.
    pub(crate) stream: TcpStream,
    /// What is sent before anything else: the response's head, and the lines that open the stream.
    pub(crate) head: Bytes,
    pub(crate) chunked: bool,
    /// Kept alive as long as the reader is there.
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
    /// Its place among the connections, given back with it.
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

    /// Takes in a socket under its stream's number.
    pub(crate) fn admit(&self, handed_off: HandedOffSocket, key: Key) -> io::Result<Socket> {
        let HandedOffSocket { stream, head, chunked, feed, permit } = handed_off;
        epoll::add(self.epoll.get_ref(), &stream, data(key), interest(true, false))?;
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

    /// Waits until there is news of some sockets. What is not heard of this time is heard of the next: the sockets have to be
    /// dealt with in between, or they would be told of again.
    pub(crate) async fn poll_events(&self) -> Vec<SocketEvent> {
        // An error would mean that the runtime is going down, and the lane with it.
        let Ok(mut guard) = self.epoll.readable().await else { return Vec::new() };
        let mut events = Vec::with_capacity(EVENTS_PER_POLL);
        let polled = epoll::wait(guard.get_inner(), spare_capacity(&mut events), Some(&Timespec::default()));
        // All was heard: the next event is worth a wake-up.
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

/// What says that a reader has left for good.
const GONE: EventFlags = EventFlags::HUP.union(EventFlags::ERR);

fn interest(listening: bool, room: bool) -> EventFlags {
    let listen = if listening { EventFlags::IN | EventFlags::RDHUP } else { EventFlags::empty() };
    if room { listen | EventFlags::OUT } else { listen }
}

fn data(key: Key) -> EventData {
    EventData::new_u64(key.data().as_ffi())
}

impl Socket {
    /// Sends what it can of these, one behind the other; says how much that was.
    fn send(&self, parts: &[IoSlice<'_>]) -> WriteAttempt {
        loop {
            let sent = (&self.stream).write_vectored(parts);
            if !matches!(&sent, Err(error) if error.kind() == ErrorKind::Interrupted) {
                return sent.into();
            }
        }
    }

    /// A piece as this reader is sent it.
    fn framed<'p>(&self, payload: &'p Payload) -> &'p [u8] {
        if self.chunked { payload.chunk() } else { payload.events() }
    }

    /// What an offer of this piece would send where, for someone who sends it to many; `None`: it is not as simple.
    pub(crate) fn sendable<'s>(&'s self, payload: &'s Payload) -> Option<Outgoing<'s>> {
        self.unsent.is_empty().then(|| Outgoing { socket: self.stream.as_fd(), bytes: self.framed(payload) })
    }

    /// Goes on with the rest, a piece right behind it; says what came of the piece.
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

    /// Asks to hear of room, or no longer.
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

/// What is left of a piece. A short part of a long one is copied: shared, it would keep all of it.
fn share_unsent(payload: &Payload, left: &[u8]) -> Bytes {
    if left.len() * PINNED_TIMES < payload.len() { Bytes::copy_from_slice(left) } else { payload.share(left) }
}

/// The result of a system call.
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

    fn complete_write(&mut self, payload: &Payload, offered: WriteAttempt) -> WriteOutcome {
        let offered = if offered == WriteAttempt::Held { self.send_after_unsent(payload) } else { offered };
        let bytes = self.framed(payload);
        match offered {
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
        // Emptied, it would still hold on to what it was a part of.
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
        let written = self.resume();
        if written == WriteOutcome::Taken {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        written
    }
}
