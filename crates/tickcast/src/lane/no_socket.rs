//! Where there is no direct path: every stream takes the body path.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Key, Offered, OneByOne, Piece, Sink, Written};

/// Whether there is a direct path on this system.
pub(crate) const DIRECT: bool = false;

/// No sockets.
pub(crate) struct Sockets;

/// A socket that cannot be.
pub(crate) struct Socket(Infallible);

/// What becomes of sockets that cannot be.
pub(crate) enum News {
    Ready(Key),
    Ended(Key),
    Over(Key),
}

/// A socket that leaves the HTTP server for a lane.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) head: Bytes,
    pub(crate) chunked: bool,
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl Sockets {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn admit(&self, arrival: Arrival, _: Key) -> io::Result<Socket> {
        drop((arrival.stream, arrival.head, arrival.chunked, arrival.feed, arrival.place));
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) async fn news(&self) -> Vec<News> {
        std::future::pending().await
    }
}

/// Bytes for a socket that cannot be.
pub(crate) struct Outgoing<'s>(Infallible, PhantomData<&'s ()>);

impl Socket {
    pub(crate) fn sendable<'s>(&'s self, _: &'s Piece) -> Option<Outgoing<'s>> {
        match self.0 {}
    }
}

/// A ring that cannot be.
pub(crate) struct Ring(Infallible);

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn send(&mut self, _: &[Outgoing<'_>]) -> &[Offered] {
        match self.0 {}
    }
}

impl Sink for Socket {
    type Carrier = OneByOne;

    fn offer(&self, _: &Piece) -> Offered {
        match self.0 {}
    }

    fn settle(&mut self, _: &Piece, _: Offered) -> Written {
        match self.0 {}
    }

    fn resume(&mut self) -> Written {
        match self.0 {}
    }

    fn end(&mut self) -> Written {
        match self.0 {}
    }

    fn cut(&mut self) {
        match self.0 {}
    }
}
