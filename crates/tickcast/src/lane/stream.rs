//! One reader: a cursor, and next to nothing else.

use std::time::Duration;

use tickcast_core::{Mode, Seq, SymbolId, Tape};

use super::groups::{Seat, Step};
use super::session::Session;
use crate::subscription::Heartbeat;

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the head, wherever that is: it is sent each batch as it comes.
    Head,
    /// Everything up to here was sent.
    Behind(Seq),
    /// In a snapshot that began at `at`, past the name of `after`.
    Snapshot { at: Seq, after: Option<SymbolId> },
    /// In a snapshot that began at `at`, past the symbols that last moved at `reached` or before.
    Opening { at: Seq, reached: Seq },
}

impl Place {
    /// As a cursor, where the head is at `head`.
    pub(super) const fn seq(self, head: Seq) -> Seq {
        match self {
            Self::Head => head,
            Self::Behind(seq) | Self::Snapshot { at: seq, .. } | Self::Opening { reached: seq, .. } => seq,
        }
    }
}

/// How often a reader wants to hear.
#[derive(Debug)]
pub(super) struct Pace {
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
    pub(super) seat: Seat,
    pub(super) place: Place,
    /// In a box: few have one.
    pub(super) pace: Option<Box<Pace>>,
    /// What a resumable one has beyond that.
    pub(super) session: Option<Box<Session>>,
    /// The sink refused a piece and has not become ready yet.
    pub(super) blocked: bool,
    /// It was sent as much as one visit may send it, and goes on in the next round.
    pub(super) goes_on: bool,
    /// It is to end as soon as its sink is ready.
    pub(super) ending: bool,
    /// One of its own, where it is a simple one that asked for it.
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) last_write: Duration,
}

impl Pace {
    pub(super) const fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now, until: Seq::ZERO, armed: None }
    }
}

impl<S> Stream<S> {
    /// How long it may be quiet before it is sent a sign that it is open; `standard`, where it did not say.
    pub(super) fn may_be_quiet(&self, standard: Duration) -> Duration {
        match &self.session {
            Some(session) => session.heartbeat,
            None => self.heartbeat.map_or(standard, Heartbeat::interval),
        }
    }

    /// It no longer follows the head: where it did, it stays at `from`.
    pub(super) fn stay_at(&mut self, from: Seq) {
        if self.place == Place::Head {
            self.place = Place::Behind(from);
        }
    }

    /// The sink would not take what came after `from`, had it been at the head.
    pub(super) fn refused(&mut self, from: Seq) {
        self.stay_at(from);
        self.blocked = true;
    }

    /// The sink took a step.
    pub(super) fn take(&mut self, step: &Step, now: Duration) {
        self.place = step.place;
        if let (Some(session), Some(said)) = (&mut self.session, step.said) {
            session.note(said);
        }
        if !step.piece.is_empty() {
            self.last_write = now;
        }
        if step.ticks > 0
            && let Some(pace) = &mut self.pace
        {
            pace.next = now + pace.interval;
        }
    }

    /// How far the reader is to be brought: to the head, or as far as its visit goes. It stops where it is to hear that it is
    /// ready.
    pub(super) fn until(&self, head: Seq) -> Seq {
        let until = self.pace.as_ref().map_or(head, |pace| pace.until);
        let ready = self.session.as_ref().and_then(|session| session.ready);
        ready.filter(|ready| self.place.seq(head) < *ready).map_or(until, |ready| until.min(ready))
    }

    /// The place as of which it is told newest values.
    pub(super) fn goal(&self, head: Seq) -> Seq {
        match self.place {
            Place::Opening { at, .. } => at,
            _ => self.until(head),
        }
    }

    /// The tape has forgotten the goal, so nobody could come back to it. From where it stands it is brought to the head instead.
    pub(super) fn move_goal(&mut self, head: Seq) {
        if let Place::Opening { reached, .. } = self.place {
            // What is taken off meanwhile it may have seen: it is told, as one that fell behind.
            self.place = Place::Behind(reached);
        }
        if let Some(pace) = &mut self.pace {
            pace.until = head;
        }
        if let Some(ready) = self.session.as_mut().and_then(|session| session.ready.as_mut()) {
            *ready = head;
        }
    }

    /// Whether not the sink is waited for, but a piece of the tape on disk.
    pub(super) fn waiting(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.waits.is_some())
    }

    /// Whether the reader is to get every tick, whatever that takes.
    pub(super) fn wants_all(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.mode == Mode::All)
    }

    /// Whether there is nothing left to send. A paced reader never follows the head by itself: its place is always said.
    pub(super) fn arrived(&mut self, head: Seq) -> bool {
        let until = self.until(head);
        if let (Place::Behind(seq), None) = (self.place, &self.pace)
            && seq >= head
        {
            self.place = Place::Head;
        }
        match self.place {
            Place::Head => true,
            Place::Behind(seq) => seq >= until,
            Place::Snapshot { .. } | Place::Opening { .. } => false,
        }
    }

    /// Whether the reader gets every tick from where it stands: the tape still has them, and the next is no older than
    /// `patience`.
    pub(super) fn keeps_up(&self, tape: &Tape, now: Duration, patience: Duration) -> bool {
        match self.place {
            Place::Behind(from) if tape.reaches_back_to(from) => {
                tape.after(from).next().is_none_or(|(_, entry)| entry.arrived() + patience >= now)
            }
            _ => false,
        }
    }
}
