//! One reader: a cursor, and next to nothing else.

use std::time::Duration;

use tickcast_core::{Mode, Seq, Tape};

use super::groups::GroupSlot;
use super::rendered::{Rendered, StreamPosition};
use super::session::Session;
use crate::subscription::Heartbeat;

/// How often a reader wants to hear.
#[derive(Debug)]
pub(super) struct RateState {
    /// At least this long between two visits.
    pub(super) interval: Duration,
    /// The earliest next visit.
    pub(super) next: Duration,
    /// How far this visit goes. One that takes several pieces does not begin anew with what moves meanwhile.
    pub(super) until: Seq,
    /// When a timer is set for it.
    pub(super) armed: Option<Duration>,
}

/// One reader.
pub(super) struct Stream<S> {
    pub(super) sink: S,
    pub(super) slot: GroupSlot,
    pub(super) position: StreamPosition,
    /// In a box: few have one.
    pub(super) rate: Option<Box<RateState>>,
    /// What a resumable one has beyond that.
    pub(super) session: Option<Box<Session>>,
    /// The sink refused a piece and has not become ready yet.
    pub(super) blocked: bool,
    /// It was sent as much as one visit may send it, and goes on in the next round.
    pub(super) continues: bool,
    /// It is to end as soon as its sink is ready.
    pub(super) ending: bool,
    /// One of its own, where it is a simple one that asked for it.
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) last_write: Duration,
}

impl RateState {
    pub(super) const fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now, until: Seq::ZERO, armed: None }
    }
}

impl<S> Stream<S> {
    /// How long it may be quiet before it is sent a sign that it is open; `standard`, where it did not say.
    pub(super) fn idle_timeout(&self, standard: Duration) -> Duration {
        match &self.session {
            Some(session) => session.heartbeat,
            None => self.heartbeat.map_or(standard, Heartbeat::interval),
        }
    }

    /// It no longer follows the head: where it did, it stays at `from`.
    pub(super) fn leave_head(&mut self, from: Seq) {
        if self.position == StreamPosition::Head {
            self.position = StreamPosition::Behind(from);
        }
    }

    /// The sink would not take what came after `from`, had it been at the head.
    pub(super) fn write_refused(&mut self, from: Seq) {
        self.leave_head(from);
        self.blocked = true;
    }

    /// The sink took a step.
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

    /// How far the reader is to be brought: to the head, or as far as its visit goes. It stops where it is to hear that it is
    /// ready.
    pub(super) fn until(&self, head: Seq) -> Seq {
        let until = self.rate.as_ref().map_or(head, |rate| rate.until);
        let ready = self.session.as_ref().and_then(|session| session.ready);
        ready.filter(|ready| self.position.seq(head) < *ready).map_or(until, |ready| until.min(ready))
    }

    /// The place as of which it is told newest values.
    pub(super) fn target(&self, head: Seq) -> Seq {
        match self.position {
            StreamPosition::Opening { at, .. } => at,
            _ => self.until(head),
        }
    }

    /// The tape has forgotten the goal, so nobody could come back to it. From where it stands it is brought to the head instead.
    pub(super) fn move_target(&mut self, head: Seq) {
        if let StreamPosition::Opening { reached, .. } = self.position {
            // What is taken off meanwhile it may have seen: it is told, as one that fell behind.
            self.position = StreamPosition::Behind(reached);
        }
        if let Some(rate) = &mut self.rate {
            rate.until = head;
        }
        if let Some(ready) = self.session.as_mut().and_then(|session| session.ready.as_mut()) {
            *ready = head;
        }
    }

    /// Whether not the sink is waited for, but a piece of the tape on disk.
    pub(super) fn waiting(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.awaits_history.is_some())
    }

    /// Whether the reader is to get every tick, whatever that takes.
    pub(super) fn wants_every_tick(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.mode == Mode::All)
    }

    /// Whether there is nothing left to send. A paced reader never follows the head by itself: its place is always said.
    pub(super) fn is_caught_up(&mut self, head: Seq) -> bool {
        let until = self.until(head);
        if let (StreamPosition::Behind(seq), None) = (self.position, &self.rate)
            && seq >= head
        {
            self.position = StreamPosition::Head;
        }
        match self.position {
            StreamPosition::Head => true,
            StreamPosition::Behind(seq) => seq >= until,
            StreamPosition::Snapshot { .. } | StreamPosition::Opening { .. } => false,
        }
    }

    /// Whether the reader gets every tick from where it stands: the tape still has them, and the next is no older than
    /// `patience`.
    pub(super) fn keeps_up(&self, tape: &Tape, now: Duration, patience: Duration) -> bool {
        match self.position {
            StreamPosition::Behind(from) if tape.reaches_back_to(from) => {
                tape.after(from).next().is_none_or(|(_, entry)| entry.arrived() + patience >= now)
            }
            _ => false,
        }
    }
}
