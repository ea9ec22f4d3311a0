//! Where a lane's bytes go, as the lane sees it.

use super::Payload;

/// How many streams a round takes, and a carrier sends to with one system call: what a call costs is nothing by then.
pub(super) const MAX_BATCH_WRITES: usize = 512;

/// The part of a buffer that a sink has yet to write. It ends where the buffer does, so who shares the buffer has the same end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffered {
    pub(crate) end: usize,
    pub(crate) bytes: usize,
}

impl Buffered {
    pub(crate) fn of(rest: &[u8]) -> Option<Self> {
        let end = rest.as_ptr_range().end.addr();
        (!rest.is_empty()).then_some(Self { end, bytes: rest.len() })
    }
}

/// Where a stream's bytes go.
pub(crate) trait Sink: Sized {
    /// What makes offers to many of them at once.
    type BatchWriter: BatchWriter<Self>;

    /// Offers a piece, to be taken whole or not at all. What came of it has to be [settled](Self::settle).
    fn try_write(&self, payload: &Payload) -> WriteAttempt;

    /// Draws the consequences of an offer of this piece. There are none beyond the answer where a piece goes out whole.
    fn complete_write(&mut self, payload: &Payload, offered: WriteAttempt) -> WriteOutcome {
        let _ = payload;
        match offered {
            WriteAttempt::Sent(_) => WriteOutcome::Taken,
            WriteAttempt::Held | WriteAttempt::Refused => WriteOutcome::Refused,
            WriteAttempt::Gone => WriteOutcome::Gone,
        }
    }

    /// Offers a piece, and that is settled.
    fn write(&mut self, payload: &Payload) -> WriteOutcome {
        let offered = self.try_write(payload);
        self.complete_write(payload, offered)
    }

    /// Goes on with what it has taken, as far as it can.
    fn resume(&mut self) -> WriteOutcome;

    /// Nothing more will come: what was taken is to be the last. Asked again, once it is ready, where it refuses.
    fn end(&mut self) -> WriteOutcome;

    /// The reader says no more, not even that it leaves: that is for the next write to find out.
    fn stop_listening(&mut self) {}

    /// What it keeps in memory that its reader has yet to take.
    fn buffered(&self) -> Option<Buffered>;

    /// The reader is stuck: what it was still to get is not worth waiting for.
    fn cut(&mut self);
}

/// What came of an offer, before anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteAttempt {
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
pub(crate) enum WriteOutcome {
    /// They are on their way.
    Taken,
    /// Not now. The lane is told once the sink can take bytes again.
    Refused,
    /// There is no reader any more.
    Gone,
}

/// Makes offers to many sinks at once.
pub(crate) trait BatchWriter<S> {
    /// Offers each piece to its sink; says what came of each, in the same order.
    fn write_batch(&mut self, offers: &[(&S, &Payload)], outcomes: &mut Vec<WriteAttempt>);
}

/// Makes one offer after the other.
#[derive(Debug, Default)]
pub(crate) struct OneAtATime;

impl<S: Sink> BatchWriter<S> for OneAtATime {
    fn write_batch(&mut self, offers: &[(&S, &Payload)], outcomes: &mut Vec<WriteAttempt>) {
        outcomes.extend(offers.iter().map(|(sink, payload)| sink.try_write(payload)));
    }
}
