//! The interface between a lane and the destination of its bytes.

use super::Payload;

/// Maximum number of streams in one write batch, which is sent with one system call. With this many
/// streams, the cost of the call no longer matters.
pub(super) const MAX_BATCH_WRITES: usize = 512;

/// The part of a buffer that a sink has not written yet. It extends to the end of the buffer, so
/// sinks that share a buffer have the same `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffered {
    pub(crate) end: usize,
    pub(crate) bytes: usize,
}

impl Buffered {
    pub(crate) fn of(rest: &[u8]) -> Option<Self> {
        let end = rest.as_ptr_range().end.addr();
        (!rest.is_empty()).then_some(Self {
            end,
            bytes: rest.len(),
        })
    }
}

/// The destination of a stream's bytes.
pub(crate) trait Sink: Sized {
    /// The writer that tries to write to many sinks at once.
    type BatchWriter: BatchWriter<Self>;

    /// Tries to write a payload. The sink accepts the whole payload or nothing. The result has to
    /// be [completed](Self::complete_write).
    fn try_write(&self, payload: &Payload) -> WriteAttempt;

    /// Completes the attempt to write this payload. If the whole payload was sent, there is nothing
    /// more to do.
    fn complete_write(&mut self, payload: &Payload, attempt: WriteAttempt) -> WriteOutcome {
        let _ = payload;
        match attempt {
            WriteAttempt::Sent(_) => WriteOutcome::Taken,
            WriteAttempt::Held | WriteAttempt::Refused => WriteOutcome::Refused,
            WriteAttempt::Gone => WriteOutcome::Gone,
        }
    }

    /// Writes a payload: tries to write it and completes the attempt.
    fn write(&mut self, payload: &Payload) -> WriteOutcome {
        let attempt = self.try_write(payload);
        self.complete_write(payload, attempt)
    }

    /// Writes accepted bytes that are still unsent, as far as possible.
    fn resume(&mut self) -> WriteOutcome;

    /// Ends the stream after the accepted bytes. If the sink refuses, the lane calls this again
    /// once the sink is ready.
    fn end(&mut self) -> WriteOutcome;

    /// Stops listening to the reader, which sends nothing more. The next write shows whether the
    /// reader has left.
    fn stop_listening(&mut self) {}

    /// Returns the part of the accepted data that is still in memory, because the reader has not
    /// accepted it.
    fn buffered(&self) -> Option<Buffered>;

    /// Cuts a blocked stream without waiting for its unsent bytes.
    fn cut(&mut self);
}

/// The result of an attempt to write, before it is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteAttempt {
    /// Number of bytes that were sent.
    Sent(usize),
    /// No attempt, because earlier bytes have to be sent first.
    Held,
    /// A refusal, because there is no room at all (backpressure).
    Refused,
    /// A sink without a reader.
    Gone,
}

/// The answer of a sink to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// Acceptance: the sink sends the bytes.
    Taken,
    /// A refusal. The lane is notified when the sink can accept bytes again.
    Refused,
    /// A sink without a reader.
    Gone,
}

/// A writer that tries to write to many sinks at once.
pub(crate) trait BatchWriter<S> {
    /// Tries to write each payload to its sink. Appends the results in the same order.
    fn write_batch(&mut self, writes: &[(&S, &Payload)], outcomes: &mut Vec<WriteAttempt>);
}

/// A writer that tries one write after the other.
#[derive(Debug, Default)]
pub(crate) struct OneAtATime;

impl<S: Sink> BatchWriter<S> for OneAtATime {
    fn write_batch(&mut self, writes: &[(&S, &Payload)], outcomes: &mut Vec<WriteAttempt>) {
        outcomes.extend(writes.iter().map(|(sink, payload)| sink.try_write(payload)));
    }
}
