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
    /// Whether a timer is set for it.
    pub(super) armed: bool,
}

/// One reader.
pub(super) struct Stream<S> {
    pub(super) sink: S,
    pub(super) seat: Seat,
    pub(super) place: Place,
    pub(super) pace: Option<Pace>,
    /// The sink refused bytes and has not asked for more yet.
    pub(super) blocked: bool,
    pub(super) last_write: Duration,
}

impl Pace {
    pub(super) const fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now, armed: false }
    }
}

impl<S> Stream<S> {
    /// The sink would not take what came after `from`.
    pub(super) const fn fall_behind(&mut self, from: Seq) {
        self.place = Place::Behind(from);
        self.blocked = true;
    }

    /// Whether there is nothing left to send. A paced reader never follows the head by itself: its place is always said.
    pub(super) fn arrived(&mut self, head: Seq) -> bool {
        if let (Place::Behind(seq), None) = (self.place, &self.pace)
            && seq >= head
        {
            self.place = Place::Head;
        }
        match self.place {
            Place::Head => true,
            Place::Behind(seq) => seq >= head,
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
