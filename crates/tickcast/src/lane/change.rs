//! Changes to a stream while it is open.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::render::EventFormat;
use tickcast_core::{Filter, FilterHash};

use super::groups::{COMPARISONS, GroupSlot};
use super::stream::RateState;
use super::{Key, Lane, ProposedChange, Sink};
use crate::hub::Prepared;
use crate::subscription::{EditError, Effective, StreamId};

impl<S: Sink> Lane<S> {
    /// Changes what the stream of this name is subscribed to: it is sent the newest ticks of what was added, and that it is
    /// ready. `None`: it is not here, or no more.
    pub(crate) fn change(
        &mut self,
        id: StreamId,
        change: Option<ProposedChange>,
        now: Duration,
    ) -> Option<Result<Effective, EditError>> {
        let key = self.names.get(&id).copied().filter(|key| !self.streams[*key].ending)?;
        let stream = &mut self.streams[key];
        let session = stream.session.as_mut()?;
        let filter = self.groups.filter(stream.slot.group).clone();
        let current = Effective { filter, mode: session.mode, rate: session.rate };
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
        self.resubscribe(key, &effective, prepared, now);
        self.visit(key, now);
        self.remove_closed();
        Some(Ok(effective))
    }

    /// Gives a stream another filter and pace. It stays at its place on the tape.
    fn resubscribe(
        &mut self,
        key: Key,
        effective: &Effective,
        prepared: Option<Arc<Prepared>>,
        now: Duration,
    ) {
        let head = self.head();
        let Effective { filter, rate, .. } = effective;
        let before = self.streams[key].slot.group;
        let others = self.groups.filter(before) != filter;
        let format = match self.groups.format(before) {
            // Until it has been sent what is new to it, no id may be taken for one of the new filter, nor of the old one.
            EventFormat::Resumable(epoch, _) if others => {
                EventFormat::Resumable(epoch, Some(FilterHash::PENDING))
            }
            format => format,
        };
        // The new seat first, and then out of the old one: so that the two can be compared.
        let slot = self.join_group(key, (filter.clone(), prepared), format, rate.is_some());
        self.groups.complete(slot.group, self.replica.market());
        let added = self.groups.newly_selected(slot.group, before);
        self.move_to_slot(key, slot);
        let stream = &mut self.streams[key];
        stream.leave_head(head);
        let position = stream.position.seq(head);
        stream.rate = rate.map(|rate| {
            let armed = stream.rate.as_ref().and_then(|rate| rate.armed);
            Box::new(RateState { until: position, armed, ..RateState::new(rate.interval(), now) })
        });
        if let Some(session) = &mut stream.session {
            session.rate = *rate;
            session.add(added);
            session.ready = session.ready.max(Some(position));
            if others {
                session.note_filter_change();
            }
        }
    }

    /// A seat for a stream beside the one it has: where only the pace changes the group is the same, and must not end in between.
    pub(super) fn join_group(
        &mut self,
        key: Key,
        filter: (Filter, Option<Arc<Prepared>>),
        format: EventFormat,
        rated: bool,
    ) -> GroupSlot {
        let before = Some(self.streams[key].slot.group);
        self.groups.join_group(key, filter, format, (rated, before), self.replica.market())
    }

    /// Moves a stream to its new seat.
    pub(super) fn move_to_slot(&mut self, key: Key, mut slot: GroupSlot) {
        let before = self.streams[key].slot;
        match self.groups.leave(before) {
            // Of its two seats in the same group the new one has taken the place of the old one.
            Some(moved) if moved == key => slot.replace(before),
            Some(moved) => self.streams[moved].slot.replace(before),
            None => {}
        }
        self.streams[key].slot = slot;
    }
}
