//! Brings a stream from its position to the head.

use std::time::Duration;

use tickcast_core::{CloseReason, Seq};

use super::rendered::{Progress, Rendered, StreamPosition};
use super::stream::Stream;
use super::timers::Timer;
use super::{Key, Lane, Sink, WriteOutcome};

/// Maximum number of payloads that a stream is sent in one visit: 4 MiB. A reader that accepts
/// bytes as fast as they are sent lets other streams have their turn. The stream continues in the
/// next turn.
const VISIT_STEPS: usize = 64;

/// The next step for a stream.
enum Next {
    Step(Rendered),
    /// The sink has to become ready first.
    Blocked,
    /// The group has to be compared with new symbols first.
    Later,
    /// The stream has been sent everything.
    CaughtUp,
    /// The stream gets every tick, and the ticks after this position are no longer in memory.
    OnDisk(Seq),
    /// The stream gets every tick, but the next tick is no longer stored anywhere.
    Lost,
}

impl<S: Sink> Lane<S> {
    /// Brings a stream to the head, or arms a timer for the next visit.
    pub(super) fn visit(&mut self, key: Key, now: Duration) {
        if self.begin_visit(key, now) {
            self.catch_up(key, now);
            self.arm_timer(key);
        }
    }

    /// Begins a visit. Returns whether the stream can be sent something now.
    pub(super) fn begin_visit(&mut self, key: Key, now: Duration) -> bool {
        let head = self.head();
        let can_visit = |stream: &&mut Stream<S>| !stream.blocked && !stream.continues;
        let Some(stream) = self.streams.get_mut(key).filter(can_visit) else {
            return false;
        };
        let group = stream.slot.group;
        let has_batch = self.groups.has_batch(group);
        if has_batch && stream.position == StreamPosition::Head {
            // The ticks of the batch came before the notices that a visit may send.
            if stream.session.is_some() {
                self.groups.visit_after_batch(group);
            }
            return false;
        }
        // An interrupted visit continues at once. Only a new visit has to wait for its time.
        let due = stream.rate.as_ref().is_none_or(|rate| now >= rate.next);
        if due
            && stream.is_caught_up(head, has_batch)
            && let Some(rate) = &mut stream.rate
        {
            rate.until = head;
        }
        true
    }

    /// Arms the timer of a stream with a rate that is not at the head. The timer fires when the
    /// rate allows the next visit.
    pub(super) fn arm_timer(&mut self, key: Key) {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else {
            return;
        };
        if let Some(rate) = &mut stream.rate
            && rate.until < head
            && rate.armed.is_none_or(|armed| armed > rate.next)
        {
            rate.armed = Some(rate.next);
            self.timers.set(rate.next, key, Timer::Visit);
        }
    }

    /// Sends a stream the payloads between its position and the head, as long as its sink accepts
    /// them.
    pub(super) fn catch_up(&mut self, key: Key, now: Duration) {
        self.catch_up_after(0, key, now);
    }

    /// Continues a visit in which the stream was sent `sent` payloads.
    pub(super) fn catch_up_after(&mut self, sent: usize, key: Key, now: Duration) {
        for _ in sent..VISIT_STEPS {
            let Some(step) = self.step(key, now) else {
                return;
            };
            if !self.send(key, &step, now) {
                return;
            }
        }
        // The stream continues once per turn, no matter how often it is visited before that.
        if let Some(stream) = self.streams.get_mut(key)
            && !std::mem::replace(&mut stream.continues, true)
        {
            self.timers.set(now, key, Timer::Continue);
        }
    }

    /// Returns the next payload for a stream. If there is none, does what there is to do instead.
    pub(super) fn step(&mut self, key: Key, now: Duration) -> Option<Rendered> {
        match self.next_step(key, now) {
            Next::Step(step) => return Some(step),
            Next::CaughtUp if self.finishing => self.close_stream(key, CloseReason::Draining),
            Next::Blocked | Next::Later | Next::CaughtUp => {}
            Next::OnDisk(from) => self.request_history(key, from),
            Next::Lost => self.close_stream(key, CloseReason::Lagging),
        }
        None
    }

    /// Sends a stream one payload. Returns whether the stream can accept more.
    pub(super) fn send(&mut self, key: Key, step: &Rendered, now: Duration) -> bool {
        let stream = &mut self.streams[key];
        let outcome = if step.payload.is_empty() {
            WriteOutcome::Taken
        } else {
            stream.sink.write(&step.payload)
        };
        self.complete_send(key, step, outcome, now)
    }

    /// Records the outcome of a write of a payload. Returns whether the stream can accept more. A
    /// stream with more statuses waits for its turn in
    /// [`visit_for_statuses`](Self::visit_for_statuses).
    pub(super) fn complete_send(
        &mut self,
        key: Key,
        step: &Rendered,
        outcome: WriteOutcome,
        now: Duration,
    ) -> bool {
        let reached = self.reached(key);
        let stream = &mut self.streams[key];
        match outcome {
            WriteOutcome::Taken => {
                stream.take(step, now);
                self.stats.sent(step.ticks, step.payload.len());
                if step.progress == Some(Progress::Ready) {
                    self.use_settled_format(key);
                }
                let (version, session) = (self.statuses.version, &self.streams[key].session);
                let session = session.as_ref();
                if step.is_of_statuses() && session.is_some_and(|own| !own.has_statuses(version)) {
                    self.status_visits.push(key);
                    return false;
                }
            }
            WriteOutcome::Refused => {
                stream.write_refused(reached);
                if let (Some(session), Some(progress)) = (&mut stream.session, step.progress) {
                    session.note_refused(progress);
                }
                self.stats.refused();
            }
            WriteOutcome::Gone => self.mark_closed(key),
        }
        outcome == WriteOutcome::Taken
    }

    /// Returns the next step for a stream.
    fn next_step(&mut self, key: Key, now: Duration) -> Next {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else {
            return Next::Blocked;
        };
        if self.groups.is_behind(stream.slot.group) {
            return Next::Later;
        }
        if let Some(session) = &mut stream.session
            && session.take_adds_all()
        {
            session.add(self.groups.selection(stream.slot.group).ids().collect());
        }
        if stream.session.is_some()
            && let Some(step) = self.next_notice(key)
        {
            return Next::Step(step);
        }
        let stream = &self.streams[key];
        if let StreamPosition::Opening { at, .. } = stream.position
            && stream.wants_every_tick()
            && !self.reaches_back_to(at)
        {
            // Ticks after this position are lost, so no reader could resume from it.
            return Next::Lost;
        }
        let stream = &mut self.streams[key];
        if stream.is_caught_up(head, self.groups.has_batch(stream.slot.group)) {
            return Next::CaughtUp;
        }
        let tape = self.replica.tape();
        if stream.session.is_some()
            && !stream.wants_every_tick()
            && tape.position(stream.target(head)).is_none()
        {
            stream.move_target(head);
        }
        let every_tick = match stream.position {
            StreamPosition::Behind(from) if stream.wants_every_tick() => {
                if !tape.reaches_back_to(from) {
                    return if self.reaches_back_to(from) {
                        Next::OnDisk(from)
                    } else {
                        Next::Lost
                    };
                }
                true
            }
            _ => {
                // A resumed stream in latest mode is sent only the newest ticks, no matter how
                // short the interruption was.
                let resuming = stream
                    .session
                    .as_ref()
                    .is_some_and(|session| session.ready.is_some());
                !resuming
                    && stream.rate.is_none()
                    && stream.keeps_up(tape, now, self.limits.max_lag)
            }
        };
        let (group, position, until) = (stream.slot.group, stream.position, stream.until(head));
        Next::Step(
            self.groups
                .render(group, position, until, every_tick, &self.replica),
        )
    }
}
