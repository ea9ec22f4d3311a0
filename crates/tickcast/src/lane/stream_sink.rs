//! The two kinds of sinks of a lane.

use std::sync::Once;

use super::body::BodySink;
use super::socket::{Outgoing, Ring, Socket};
use super::{BatchWriter, Buffered, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};

/// The destination of a stream's bytes: an HTTP body that a runtime reads, or a socket.
pub(crate) enum StreamSink {
    Body(BodySink),
    Socket(Socket),
}

impl StreamSink {
    fn sendable<'s>(&'s self, payload: &'s Payload) -> Option<Outgoing<'s>> {
        match self {
            Self::Socket(socket) => socket.sendable(payload),
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

impl Sink for StreamSink {
    type BatchWriter = SocketWriter;

    fn try_write(&self, payload: &Payload) -> WriteAttempt {
        each!(self, sink => sink.try_write(payload))
    }

    fn complete_write(&mut self, payload: &Payload, attempt: WriteAttempt) -> WriteOutcome {
        each!(self, sink => sink.complete_write(payload, attempt))
    }

    fn resume(&mut self) -> WriteOutcome {
        each!(self, sink => sink.resume())
    }

    fn end(&mut self) -> WriteOutcome {
        each!(self, sink => sink.end())
    }

    fn stop_listening(&mut self) {
        each!(self, sink => sink.stop_listening());
    }

    fn buffered(&self) -> Option<Buffered> {
        each!(self, sink => sink.buffered())
    }

    fn cut(&mut self) {
        each!(self, sink => sink.cut());
    }
}

/// The system interface that a lane uses to write to its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IoBackend {
    /// io_uring if the kernel supports and allows it, otherwise one system call per socket.
    #[default]
    Auto,
    /// io_uring: one system call for hundreds of sockets. If the kernel refuses, this is logged
    /// once, and the lane makes one system call per socket.
    Uring,
    /// One system call per socket.
    Epoll,
}

/// Minimum number of sends for which io_uring is better than one system call per send.
const MIN_RING_WRITES: usize = 4;

/// The writer of a lane. If there is a ring, it writes to many sockets with one system call;
/// otherwise one by one.
pub(crate) struct SocketWriter {
    /// The backend to try once there is a socket. `None` if there is nothing to try.
    requested: Option<IoBackend>,
    ring: Option<Ring>,
}

impl SocketWriter {
    pub(crate) fn new(io: IoBackend) -> Self {
        Self {
            requested: Some(io).filter(|io| *io != IoBackend::Epoll),
            ring: None,
        }
    }

    /// Sets up io_uring before the first write to a socket. Later calls do nothing.
    pub(crate) fn init_uring(&mut self) {
        static REPORTED: Once = Once::new();
        let Some(requested) = self.requested.take() else {
            return;
        };
        match Ring::new() {
            Ok(ring) => self.ring = Some(ring),
            Err(error) => REPORTED.call_once(|| {
                let text =
                    "io_uring is not available; each socket is written with a separate system call";
                if requested == IoBackend::Uring {
                    tracing::warn!(%error, "{text}");
                } else {
                    tracing::info!(%error, "{text}");
                }
            }),
        }
    }
}

impl BatchWriter<StreamSink> for SocketWriter {
    fn write_batch(
        &mut self,
        writes: &[(&StreamSink, &Payload)],
        outcomes: &mut Vec<WriteAttempt>,
    ) {
        let Some(ring) = self
            .ring
            .as_mut()
            .filter(|_| writes.len() >= MIN_RING_WRITES)
        else {
            return OneAtATime.write_batch(writes, outcomes);
        };
        let sends: Vec<_> = writes
            .iter()
            .filter_map(|(sink, payload)| sink.sendable(payload))
            .collect();
        let mut sent = ring.send(&sends).iter();
        outcomes.extend(writes.iter().map(|(sink, payload)| {
            match sink.sendable(payload) {
                Some(_) => sent
                    .next()
                    .map_or(WriteAttempt::Refused, |result| WriteAttempt::from(*result)),
                None => sink.try_write(payload),
            }
        }));
    }
}
