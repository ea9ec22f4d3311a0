//! Changes to a stream while it is open.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::render::EventFormat;
use tickcast_core::{Filter, FilterHash};

use super::groups::{COMPARISONS, Seat};
use super::stream::Pace;
use super::{Key, Lane, NewTerms, Sink};
use crate::hub::Prepared;
use crate::subscription::{EditError, Effective, StreamId};

impl<S: Sink> Lane<S> {
    /// Changes what the stream of this name is subscribed to: it is sent the newest ticks of what was added, and that it is
    /// ready. `None`: it is not here, or no more.
    pub(crate) fn change(
        &mut self,
        id: StreamId,
        change: Option<NewTerms>,
        now: Duration,
    ) -> Option<Result<Effective, EditError>> {
        let key = self.names.get(&id).copied().filter(|key| !self.streams[*key].ending)?;
        let stream = &mut self.streams[key];
        let session = stream.session.as_mut()?;
        let filter = self.groups.filter(stream.seat.group).clone();
        let current = Effective { filter, mode: session.mode, pace: session.pace };
        let Some((from, effective, prepared)) = change else {
            return Some(if session.try_change(now) { Ok(current) } else { Err(EditError::TooOften) });
        };
        let symbols = self.replica.market().len();
        let lacking = prepared.as_ref().map_or(0, |prepared| prepared.lacking(symbols));
        if from != current || lacking > COMPARISONS {
            return Some(Err(EditError::Outdated));
        }
        // What has come since it was selected is looked at by the lane, where that is little.
        self.compared += lacking;
        self.reseat(key, &effective, prepared, now);
        self.visit(key, now);
        self.bury();
        Some(Ok(effective))
    }

    /// Gives a stream another filter and pace. It stays at its place on the tape.
    fn reseat(&mut self, key: Key, effective: &Effective, prepared: Option<Arc<Prepared>>, now: Duration) {
        let head = self.head();
        let Effective { filter, pace, .. } = effective;
        let before = self.streams[key].seat.group;
        let others = self.groups.filter(before) != filter;
        let dialect = match self.groups.dialect(before) {
            // Until it has been sent what is new to it, no id may be taken for one of the new filter, nor of the old one.
            EventFormat::Resumable(epoch, _) if others => {
                EventFormat::Resumable(epoch, Some(FilterHash::PENDING))
            }
            dialect => dialect,
        };
        // The new seat first, and then out of the old one: so that the two can be compared.
        let seat = self.join(key, (filter.clone(), prepared), dialect, pace.is_some());
        self.groups.complete(seat.group, self.replica.market());
        let added = self.groups.gained(seat.group, before);
        self.move_to(key, seat);
        let stream = &mut self.streams[key];
        stream.stay_at(head);
        let place = stream.place.seq(head);
        stream.pace = pace.map(|pace| {
            let armed = stream.pace.as_ref().and_then(|pace| pace.armed);
            Box::new(Pace { until: place, armed, ..Pace::new(pace.interval(), now) })
        });
        if let Some(session) = &mut stream.session {
            session.pace = *pace;
            session.add(added);
            session.ready = session.ready.max(Some(place));
            if others {
                session.ask_for_others();
            }
        }
    }

    /// A seat for a stream beside the one it has: where only the pace changes the group is the same, and must not end in between.
    pub(super) fn join(
        &mut self,
        key: Key,
        filter: (Filter, Option<Arc<Prepared>>),
        dialect: EventFormat,
        paced: bool,
    ) -> Seat {
        let before = Some(self.streams[key].seat.group);
        self.groups.join(key, filter, dialect, (paced, before), self.replica.market())
    }

    /// Moves a stream to its new seat.
    pub(super) fn move_to(&mut self, key: Key, mut seat: Seat) {
        let before = self.streams[key].seat;
        match self.groups.leave(before) {
            // Of its two seats in the same group the new one has taken the place of the old one.
            Some(moved) if moved == key => seat.take_place_of(before),
            Some(moved) => self.streams[moved].seat.take_place_of(before),
            None => {}
        }
        self.streams[key].seat = seat;
    }
}
