//! Where a lane's bytes go, as the lane sees it.

use super::Piece;

/// Where a stream's bytes go.
pub(crate) trait Sink {
    /// Offers a piece, to be taken whole or not at all.
    fn write(&mut self, piece: &Piece) -> Written;

    /// Goes on with what it has taken, as far as it can.
    fn resume(&mut self) -> Written;

    /// Nothing more will come: what was taken is to be the last. Asked again, once it is ready, where it refuses.
    fn end(&mut self) -> Written;

    /// The reader is stuck: what it was still to get is not worth waiting for.
    fn cut(&mut self);
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
