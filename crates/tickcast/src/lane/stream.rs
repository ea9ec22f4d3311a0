//! One reader: a cursor, and next to nothing else.

use std::time::Duration;

use tickcast_core::{Seq, Symbol, Tape};

use super::groups::Seat;

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the head, wherever that is: it is sent each batch as it comes.
    Head,
    /// Everything up to here was sent.
    Behind(Seq),
    /// In a snapshot that began at `at`, past the name `after`.
    Snapshot { at: Seq, after: Option<Symbol> },
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
    /// Whether a timer is set for it.
    pub(super) armed: bool,
}

/// One reader.
pub(super) struct Stream<S> {
    pub(super) sink: S,
    pub(super) seat: Seat,
    pub(super) place: Place,
    /// In a box: few have one.
    pub(super) pace: Option<Box<Pace>>,
    /// The sink refused a piece and has not become ready yet.
    pub(super) blocked: bool,
    /// It is to end as soon as its sink is ready.
    pub(super) ending: bool,
    pub(super) last_write: Duration,
}

impl Pace {
    pub(super) const fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now, until: Seq::ZERO, armed: false }
    }
}

impl<S> Stream<S> {
    /// The sink would not take what came after `from`, had it been at the head.
    pub(super) fn refused(&mut self, from: Seq) {
        if self.place == Place::Head {
            self.place = Place::Behind(from);
        }
        self.blocked = true;
    }

    /// How far the reader is to be brought: to the head, or as far as its visit goes.
    pub(super) fn until(&self, head: Seq) -> Seq {
        self.pace.as_ref().map_or(head, |pace| pace.until)
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
            Place::Snapshot { .. } => false,
        }
    }

    /// Whether the reader gets every tick from where it stands: the tape still has them, and the next is no older than
    /// `patience`.
    pub(super) fn keeps_up(&self, tape: &Tape, now: Duration, patience: Duration) -> bool {
        match self.place {
            Place::Behind(from) if tape.reaches_back_to(from) => {
                tape.after(from).next().is_none_or(|(_, entry)| entry.arrived + patience >= now)
            }
            _ => false,
        }
    }
}
