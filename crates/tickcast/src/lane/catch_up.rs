//! How a reader is brought from its place to the head.

use std::time::Duration;

use tickcast_core::{CloseReason, Seq};

use super::rendered::{Progress, Rendered, StreamPosition};
use super::stream::Stream;
use super::timers::Timer;
use super::{Key, Lane, Sink, WriteOutcome};

/// How many pieces a stream is sent in one visit: 4 MiB. A reader that takes bytes as fast as they come lets the others have their
/// turn, and goes on in the next round.
const VISIT_STEPS: usize = 64;

/// What comes next for a stream.
enum Next {
    Step(Rendered),
    /// Its sink has to become ready first.
    Blocked,
    /// Its group has to look at new symbols first.
    Later,
    /// It has been sent all there is.
    CaughtUp,
    /// It is to get every tick, and those after this place are no longer in memory.
    OnDisk(Seq),
    /// It was to get every tick, and the next is nowhere any more.
    Lost,
}

impl<S: Sink> Lane<S> {
    /// Brings a stream to the head, or notes when it may be.
    pub(super) fn visit(&mut self, key: Key, now: Duration) {
        let head = self.head();
        let able = |stream: &&mut Stream<S>| !stream.blocked && !stream.continues;
        let Some(stream) = self.streams.get_mut(key).filter(able) else { return };
        // A visit that was held up goes on; only a new one has to wait for its time.
        let due = stream.rate.as_ref().is_none_or(|rate| now >= rate.next);
        if due
            && stream.is_caught_up(head)
            && let Some(rate) = &mut stream.rate
        {
            rate.until = head;
        }
        self.catch_up(key, now);
        self.arm_timer(key);
    }

    /// Sees to it that a paced stream that is not at the head is visited when its pace allows.
    fn arm_timer(&mut self, key: Key) {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else { return };
        if let Some(rate) = &mut stream.rate
            && rate.until < head
            && rate.armed.is_none_or(|armed| armed > rate.next)
        {
            rate.armed = Some(rate.next);
            self.timers.set(rate.next, key, Timer::Visit);
        }
    }

    /// Sends a stream what lies between its place and the head, piece by piece, as long as its sink takes them.
    pub(super) fn catch_up(&mut self, key: Key, now: Duration) {
        for _ in 0..VISIT_STEPS {
            match self.next_step(key, now) {
                Next::Step(step) => {
                    if !self.send(key, &step, now) {
                        return;
                    }
                }
                Next::Blocked | Next::Later => return,
                Next::CaughtUp if self.finishing => return self.close_stream(key, CloseReason::Draining),
                Next::CaughtUp => return,
                Next::OnDisk(from) => return self.request_history(key, from),
                Next::Lost => return self.close_stream(key, CloseReason::Lagging),
            }
        }
        // However often it is visited meanwhile, it goes on once a round.
        if let Some(stream) = self.streams.get_mut(key)
            && !std::mem::replace(&mut stream.continues, true)
        {
            self.timers.set(now, key, Timer::Continue);
        }
    }

    /// Sends a stream one piece; says whether it can take more.
    pub(super) fn send(&mut self, key: Key, step: &Rendered, now: Duration) -> bool {
        let head = self.head();
        let stream = &mut self.streams[key];
        let written =
            if step.payload.is_empty() { WriteOutcome::Taken } else { stream.sink.write(&step.payload) };
        match written {
            WriteOutcome::Taken => {
                stream.take(step, now);
                self.stats.sent(step.ticks, step.payload.len());
                if step.progress == Some(Progress::Ready) {
                    self.use_settled_format(key);
                }
            }
            WriteOutcome::Refused => {
                stream.write_refused(head);
                self.stats.refused();
            }
            WriteOutcome::Gone => self.mark_closed(key),
        }
        written == WriteOutcome::Taken
    }

    /// What a stream is to be sent next.
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
            // Every tick behind this is gone, so nobody could go on from there.
            return Next::Lost;
        }
        let stream = &mut self.streams[key];
        if stream.is_caught_up(head) {
            return Next::CaughtUp;
        }
        let tape = self.replica.tape();
        if stream.session.is_some()
            && !stream.wants_every_tick()
            && tape.position(stream.target(head)).is_none()
        {
            stream.move_target(head);
        }
        let every = match stream.position {
            StreamPosition::Behind(from) if stream.wants_every_tick() => {
                if !tape.reaches_back_to(from) {
                    return if self.reaches_back_to(from) { Next::OnDisk(from) } else { Next::Lost };
                }
                true
            }
            _ => {
                // Whoever comes back to newest values is given those, however short it was away.
                let coming = stream.session.as_ref().is_some_and(|session| session.ready.is_some());
                !coming && stream.rate.is_none() && stream.keeps_up(tape, now, self.limits.max_lag)
            }
        };
        let (group, position, until) = (stream.slot.group, stream.position, stream.until(head));
        Next::Step(self.groups.render(group, position, until, every, &self.replica))
    }
}
