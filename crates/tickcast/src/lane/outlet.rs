//! The two ways out of a lane.

use std::sync::Once;

use super::socket::{Outgoing, Ring, Socket};
use super::{Carrier, Held, Offered, OneByOne, Piece, Sink, Written};
use crate::events::BodySink;

/// Where a stream's bytes go: into an HTTP body that a runtime reads, or straight into a socket.
pub(crate) enum Outlet {
    Body(BodySink),
    Socket(Socket),
}

impl Outlet {
    fn sendable<'s>(&'s self, piece: &'s Piece) -> Option<Outgoing<'s>> {
        match self {
            Self::Socket(socket) => socket.sendable(piece),
            Self::Body(_) => None,
        }
    }
}

macro_rules! each {
    ($self:ident, $sink:ident => $act:expr) => {
        match $self {
            Self::Body($sink) => $act,
            Self::Socket($sink) => $act,
        }
    };
}

impl Sink for Outlet {
    type Carrier = Post;

    fn offer(&self, piece: &Piece) -> Offered {
        each!(self, sink => sink.offer(piece))
    }

    fn settle(&mut self, piece: &Piece, offered: Offered) -> Written {
        each!(self, sink => sink.settle(piece, offered))
    }

    fn resume(&mut self) -> Written {
        each!(self, sink => sink.resume())
    }

    fn end(&mut self) -> Written {
        each!(self, sink => sink.end())
    }

    fn hear_no_more(&mut self) {
        each!(self, sink => sink.hear_no_more());
    }

    fn held(&self) -> Option<Held> {
        each!(self, sink => sink.held())
    }

    fn cut(&mut self) {
        each!(self, sink => sink.cut());
    }
}

/// How a lane writes to its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// By io_uring where the kernel has and allows it, else one call a socket.
    #[default]
    Auto,
    /// By io_uring: one system call for hundreds of sockets. Where the kernel will not, that is logged once and it is one call
    /// a socket.
    Uring,
    /// One call a socket.
    Epoll,
}

/// Below so many sends a call for each is as good.
const FEW: usize = 4;

/// Carries a lane's pieces: to sockets many at a time where there is a ring, else one by one.
pub(crate) struct Post {
    /// What is to be tried for a ring, before there are sockets.
    wanted: Option<Io>,
    ring: Option<Ring>,
}

impl Post {
    pub(crate) fn new(io: Io) -> Self {
        Self { wanted: Some(io).filter(|io| *io != Io::Epoll), ring: None }
    }

    /// There is a socket to write to, for the first time perhaps.
    pub(crate) fn equip(&mut self) {
        static SAID: Once = Once::new();
        let Some(wanted) = self.wanted.take() else { return };
        match Ring::new() {
            Ok(ring) => self.ring = Some(ring),
            Err(error) => SAID.call_once(|| {
                let text = "no io_uring here: each socket is written by a call of its own";
                if wanted == Io::Uring {
                    tracing::warn!(%error, "{text}");
                } else {
                    tracing::info!(%error, "{text}");
                }
            }),
        }
    }
}

impl Carrier<Outlet> for Post {
    fn carry(&mut self, offers: &[(&Outlet, &Piece)], outcomes: &mut Vec<Offered>) {
        let Some(ring) = self.ring.as_mut().filter(|_| offers.len() >= FEW) else {
            return OneByOne.carry(offers, outcomes);
        };
        let sends: Vec<_> = offers.iter().filter_map(|(outlet, piece)| outlet.sendable(piece)).collect();
        let mut sent = ring.send(&sends).iter();
        outcomes.extend(offers.iter().map(|(outlet, piece)| match outlet.sendable(piece) {
            Some(_) => sent.next().map_or(Offered::Refused, |result| Offered::from(*result)),
            None => outlet.offer(piece),
        }));
    }
}
