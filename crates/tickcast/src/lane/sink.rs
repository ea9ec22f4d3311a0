//! Where a lane's bytes go, as the lane sees it.

use super::{Held, Piece};

/// Where a stream's bytes go.
pub(crate) trait Sink: Sized {
    /// What makes offers to many of them at once.
    type Carrier: Carrier<Self>;

    /// Offers a piece, to be taken whole or not at all. What came of it has to be [settled](Self::settle).
    fn offer(&self, piece: &Piece) -> Offered;

    /// Draws the consequences of an offer of this piece. There are none beyond the answer where a piece goes out whole.
    fn settle(&mut self, piece: &Piece, offered: Offered) -> Written {
        let _ = piece;
        match offered {
            Offered::Sent(_) => Written::Taken,
            Offered::Held | Offered::Refused => Written::Refused,
            Offered::Gone => Written::Gone,
        }
    }

    /// Offers a piece, and that is settled.
    fn write(&mut self, piece: &Piece) -> Written {
        let offered = self.offer(piece);
        self.settle(piece, offered)
    }

    /// Goes on with what it has taken, as far as it can.
    fn resume(&mut self) -> Written;

    /// Nothing more will come: what was taken is to be the last. Asked again, once it is ready, where it refuses.
    fn end(&mut self) -> Written;

    /// The reader says no more, not even that it leaves: that is for the next write to find out.
    fn hear_no_more(&mut self) {}

    /// What it keeps in memory that its reader has yet to take.
    fn held(&self) -> Option<Held>;

    /// The reader is stuck: what it was still to get is not worth waiting for.
    fn cut(&mut self);
}

/// What came of an offer, before anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// So many bytes of it went out.
    Sent(usize),
    /// Not tried: something that was taken earlier comes first.
    Held,
    /// There is no room for any of it.
    Refused,
    /// There is no reader any more.
    Gone,
}

/// A sink's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// They are on their way.
    Taken,
    /// Not now. The lane is told once the sink can take bytes again.
    Refused,
    /// There is no reader any more.
    Gone,
}

/// Makes offers to many sinks at once.
pub(crate) trait Carrier<S> {
    /// Offers each piece to its sink; says what came of each, in the same order.
    fn carry(&mut self, offers: &[(&S, &Piece)], outcomes: &mut Vec<Offered>);
}

/// Makes one offer after the other.
#[derive(Debug, Default)]
pub(crate) struct OneByOne;

impl<S: Sink> Carrier<S> for OneByOne {
    fn carry(&mut self, offers: &[(&S, &Piece)], outcomes: &mut Vec<Offered>) {
        outcomes.extend(offers.iter().map(|(sink, piece)| sink.offer(piece)));
    }
}
