//! The two ways out of a lane.

use super::{Piece, Sink, Written};
use crate::events::BodySink;
use crate::lane::socket::Socket;

/// Where a stream's bytes go: into an HTTP body that a runtime reads, or straight into a socket.
pub(crate) enum Outlet {
    Body(BodySink),
    Socket(Socket),
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
    fn write(&mut self, piece: &Piece) -> Written {
        each!(self, sink => sink.write(piece))
    }

    fn resume(&mut self) -> Written {
        each!(self, sink => sink.resume())
    }

    fn end(&mut self) -> Written {
        each!(self, sink => sink.end())
    }

    fn cut(&mut self) {
        each!(self, sink => sink.cut());
    }
}
