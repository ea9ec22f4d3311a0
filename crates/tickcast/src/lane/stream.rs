//! One stream: a cursor, and very little more.

use std::time::Duration;

use tickcast_core::{Mode, Seq, Tape};

use super::groups::GroupSlot;
use super::rendered::{Rendered, StreamPosition};
use super::session::Session;
use crate::subscription::Heartbeat;

/// The rate of a stream.
#[derive(Debug)]
pub(super) struct RateState {
    /// Minimum time between two visits.
    pub(super) interval: Duration,
    /// Earliest time of the next visit.
    pub(super) next: Duration,
    /// End of the current visit. A visit of several payloads does not start again for ticks that
    /// arrive meanwhile.
    pub(super) until: Seq,
    /// Time of the armed timer, if any.
    pub(super) armed: Option<Duration>,
    /// Whether the stream is visited at the end of this flush.
    pub(super) queued: bool,
}

/// One stream.
pub(super) struct Stream<S> {
    pub(super) sink: S,
    pub(super) slot: GroupSlot,
    pub(super) position: StreamPosition,
    /// In a box to save memory, because few streams have a rate.
    pub(super) rate: Option<Box<RateState>>,
    /// The session of a resumable stream.
    pub(super) session: Option<Box<Session>>,
    /// Whether the sink refused a payload and has not become ready since.
    pub(super) blocked: bool,
    /// Whether the stream was sent the maximum of one visit and continues in the next turn.
    pub(super) continues: bool,
    /// Whether the stream ends as soon as its sink is ready.
    pub(super) ending: bool,
    /// The keep-alive interval that a simple stream asked for.
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) last_write: Duration,
}

impl RateState {
    pub(super) const fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            next: now,
            until: Seq::ZERO,
            armed: None,
            queued: false,
        }
    }
}

impl<S> Stream<S> {
    /// Returns the time without writes after which the stream is sent a keep-alive. `default` is
    /// used if the stream did not ask for another interval.
    pub(super) fn idle_timeout(&self, default: Duration) -> Duration {
        match &self.session {
            Some(session) => session.heartbeat,
            None => self.heartbeat.map_or(default, Heartbeat::interval),
        }
    }

    /// Moves a stream at the head to the position `from`, so that it no longer follows the head.
    pub(super) fn leave_head(&mut self, from: Seq) {
        if self.position == StreamPosition::Head {
            self.position = StreamPosition::Behind(from);
        }
    }

    /// Records a refused write. A stream at the head stays at `from`.
    pub(super) fn write_refused(&mut self, from: Seq) {
        self.leave_head(from);
        self.blocked = true;
    }

    /// Records a payload that the sink accepted.
    pub(super) fn take(&mut self, step: &Rendered, now: Duration) {
        self.position = step.position;
        if let (Some(session), Some(progress)) = (&mut self.session, step.progress) {
            session.record(progress);
        }
        if !step.payload.is_empty() {
            self.last_write = now;
        }
        if step.ticks > 0
            && let Some(rate) = &mut self.rate
        {
            rate.next = now + rate.interval;
        }
    }

    /// Returns the end of the current catch-up: the head, or the end of the visit. If `ready` has
    /// to be sent before that, the catch-up stops there.
    pub(super) fn until(&self, head: Seq) -> Seq {
        let until = self.rate.as_ref().map_or(head, |rate| rate.until);
        let ready = self.session.as_ref().and_then(|session| session.ready);
        ready
            .filter(|ready| self.position.seq(head) < *ready)
            .map_or(until, |ready| until.min(ready))
    }

    /// Returns the position as of which the stream is sent newest ticks.
    pub(super) fn target(&self, head: Seq) -> Seq {
        match self.position {
            StreamPosition::Opening { at, .. } => at,
            _ => self.until(head),
        }
    }

    /// Moves the target to the head. This happens if the tape no longer holds the target, because
    /// no reader could resume from there. The stream continues from its current position.
    pub(super) fn move_target(&mut self, head: Seq) {
        if let StreamPosition::Opening { reached, .. } = self.position {
            // The reader may have seen symbols that were removed meanwhile. It is sent the
            // removals, like a reader that fell behind.
            self.position = StreamPosition::Behind(reached);
        }
        if let Some(rate) = &mut self.rate {
            rate.until = head;
        }
        if let Some(ready) = self
            .session
            .as_mut()
            .and_then(|session| session.ready.as_mut())
        {
            *ready = head;
        }
    }

    /// Checks whether the stream waits for a payload from the tape on disk, and not for the sink.
    pub(super) fn waiting(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.awaits_history.is_some())
    }

    /// Checks whether the stream must be sent every tick.
    pub(super) fn wants_every_tick(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.mode == Mode::All)
    }

    /// Checks whether there is nothing left to send. A stream with a rate never follows the head by
    /// itself: it always has an explicit position. Other streams follow it from now on, unless their
    /// group `has_batch`: then they must not be sent this batch, and follow later.
    pub(super) fn is_caught_up(&mut self, head: Seq, has_batch: bool) -> bool {
        let until = self.until(head);
        if let (StreamPosition::Behind(seq), None) = (self.position, &self.rate)
            && seq >= head
            && !has_batch
        {
            self.position = StreamPosition::Head;
        }
        match self.position {
            StreamPosition::Head => true,
            StreamPosition::Behind(seq) => seq >= until,
            StreamPosition::Snapshot { .. } | StreamPosition::Opening { .. } => false,
        }
    }

    /// Checks whether the stream is sent every tick from its position. The tape must still hold the
    /// ticks, and the next tick must not be older than `max_lag`.
    pub(super) fn keeps_up(&self, tape: &Tape, now: Duration, max_lag: Duration) -> bool {
        match self.position {
            StreamPosition::Behind(from) if from >= tape.head() => true,
            StreamPosition::Behind(from) => tape.run(from).is_some_and(|run| {
                let next = run.entries().next();
                next.is_some_and(|(_, entry)| entry.arrived() + max_lag >= now)
            }),
            _ => false,
        }
    }
}
