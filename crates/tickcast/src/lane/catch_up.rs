//! How a reader is brought from its place to the head.

use std::time::Duration;

use tickcast_core::{CloseReason, Seq};

use super::groups::Step;
use super::session::Said;
use super::stream::{Place, Stream};
use super::timers::Alarm;
use super::{Key, Lane, Sink, Written};

/// How many pieces a stream is sent in one visit: 4 MiB. A reader that takes bytes as fast as they come lets the others have their
/// turn, and goes on in the next round.
const VISIT_STEPS: usize = 64;

/// What comes next for a stream.
enum Next {
    Step(Step),
    /// Its sink has to become ready first.
    Blocked,
    /// Its group has to look at new symbols first.
    Later,
    /// It has been sent all there is.
    Arrived,
    /// It is to get every tick, and those after this place are no longer in memory.
    OnDisk(Seq),
    /// It was to get every tick, and the next is nowhere any more.
    Lost,
}

impl<S: Sink> Lane<S> {
    /// Brings a stream to the head, or notes when it may be.
    pub(super) fn visit(&mut self, key: Key, now: Duration) {
        let head = self.head();
        let able = |stream: &&mut Stream<S>| !stream.blocked && !stream.goes_on;
        let Some(stream) = self.streams.get_mut(key).filter(able) else { return };
        // A visit that was held up goes on; only a new one has to wait for its time.
        let due = stream.pace.as_ref().is_none_or(|pace| now >= pace.next);
        if due
            && stream.arrived(head)
            && let Some(pace) = &mut stream.pace
        {
            pace.until = head;
        }
        self.catch_up(key, now);
        self.arm(key);
    }

    /// Sees to it that a paced stream that is not at the head is visited when its pace allows.
    fn arm(&mut self, key: Key) {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else { return };
        if let Some(pace) = &mut stream.pace
            && pace.until < head
            && pace.armed.is_none_or(|armed| armed > pace.next)
        {
            pace.armed = Some(pace.next);
            self.timers.set(pace.next, key, Alarm::Visit);
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
                Next::Arrived if self.finishing => return self.dismiss(key, CloseReason::Draining),
                Next::Arrived => return,
                Next::OnDisk(from) => return self.send_for(key, from),
                Next::Lost => return self.dismiss(key, CloseReason::Lagging),
            }
        }
        // However often it is visited meanwhile, it goes on once a round.
        if let Some(stream) = self.streams.get_mut(key)
            && !std::mem::replace(&mut stream.goes_on, true)
        {
            self.timers.set(now, key, Alarm::GoOn);
        }
    }

    /// Sends a stream one piece; says whether it can take more.
    pub(super) fn send(&mut self, key: Key, step: &Step, now: Duration) -> bool {
        let head = self.head();
        let stream = &mut self.streams[key];
        let written = if step.piece.is_empty() { Written::Taken } else { stream.sink.write(&step.piece) };
        match written {
            Written::Taken => {
                stream.take(step, now);
                self.stats.sent(step.ticks, step.piece.len());
                if step.said == Some(Said::Ready) {
                    self.settle_ids(key);
                }
            }
            Written::Refused => {
                stream.refused(head);
                self.stats.refused();
            }
            Written::Gone => self.lose(key),
        }
        written == Written::Taken
    }

    /// What a stream is to be sent next.
    fn next_step(&mut self, key: Key, now: Duration) -> Next {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else {
            return Next::Blocked;
        };
        if self.groups.is_behind(stream.seat.group) {
            return Next::Later;
        }
        if let Some(session) = &mut stream.session
            && session.take_adds_all()
        {
            session.add(self.groups.selection(stream.seat.group).ids().collect());
        }
        if stream.session.is_some()
            && let Some(step) = self.say(key)
        {
            return Next::Step(step);
        }
        let stream = &self.streams[key];
        if let Place::Opening { at, .. } = stream.place
            && stream.wants_all()
            && !self.reaches_back_to(at)
        {
            // Every tick behind this is gone, so nobody could go on from there.
            return Next::Lost;
        }
        let stream = &mut self.streams[key];
        if stream.arrived(head) {
            return Next::Arrived;
        }
        let tape = self.replica.tape();
        if stream.session.is_some() && !stream.wants_all() && tape.position(stream.goal(head)).is_none() {
            stream.move_goal(head);
        }
        let every = match stream.place {
            Place::Behind(from) if stream.wants_all() => {
                if !tape.reaches_back_to(from) {
                    return if self.reaches_back_to(from) { Next::OnDisk(from) } else { Next::Lost };
                }
                true
            }
            _ => {
                // Whoever comes back to newest values is given those, however short it was away.
                let coming = stream.session.as_ref().is_some_and(|session| session.ready.is_some());
                !coming && stream.pace.is_none() && stream.keeps_up(tape, now, self.manners.patience)
            }
        };
        let (group, place, until) = (stream.seat.group, stream.place, stream.until(head));
        Next::Step(self.groups.render(group, place, until, every, &self.replica))
    }
}
