//! Replaces `socket` on systems other than Linux, and without the feature `direct`. There, every
//! stream uses the body path.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Buffered, Key, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};

/// Whether this system has the direct path.
pub(crate) const DIRECT: bool = false;

/// An empty set of sockets.
pub(crate) struct Sockets;

/// A socket type without values.
pub(crate) struct Socket(Infallible);

/// An event of a socket. It never happens on this system.
pub(crate) enum SocketEvent {
    Ready(Key),
    Ended(Key),
    Closed(Key),
}

/// A socket that the HTTP server hands off to a lane.
pub(crate) struct HandedOffSocket {
    pub(crate) stream: TcpStream,
    pub(crate) head: Bytes,
    pub(crate) chunked: bool,
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Sockets {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn admit(&self, socket: HandedOffSocket, _: Key) -> io::Result<Socket> {
        drop((
            socket.stream,
            socket.head,
            socket.chunked,
            socket.feed,
            socket.permit,
        ));
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn poll_events(&self) -> Vec<SocketEvent> {
        std::future::pending().await
    }
}

/// Bytes for a socket; a type without values.
pub(crate) struct Outgoing<'s>(Infallible, PhantomData<&'s ()>);

impl Socket {
    pub(crate) fn sendable<'s>(&'s self, _: &'s Payload) -> Option<Outgoing<'s>> {
        match self.0 {}
    }
}

/// A ring; a type without values.
pub(crate) struct Ring(Infallible);

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn send(&mut self, _: &[Outgoing<'_>]) -> &[Sent] {
        match self.0 {}
    }
}

/// What a ring has sent; a type without values.
#[derive(Clone, Copy)]
pub(crate) struct Sent(Infallible);

impl From<Sent> for WriteAttempt {
    fn from(sent: Sent) -> Self {
        match sent.0 {}
    }
}

impl Sink for Socket {
    type BatchWriter = OneAtATime;

    fn try_write(&self, _: &Payload) -> WriteAttempt {
        match self.0 {}
    }

    fn complete_write(&mut self, _: &Payload, _: WriteAttempt) -> WriteOutcome {
        match self.0 {}
    }

    fn resume(&mut self) -> WriteOutcome {
        match self.0 {}
    }

    fn end(&mut self) -> WriteOutcome {
        match self.0 {}
    }

    fn buffered(&self) -> Option<Buffered> {
        match self.0 {}
    }

    fn cut(&mut self) {
        match self.0 {}
    }
}
