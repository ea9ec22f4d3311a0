//! Changes the subscription of an open stream.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::sse::EventFormat;
use tickcast_core::{Filter, FilterHash};

use super::groups::{COMPARISONS, GroupSlot};
use super::stream::RateState;
use super::{Key, Lane, ProposedChange, Sink};
use crate::hub::Prepared;
use crate::subscription::{EditError, Effective, StreamId};

impl<S: Sink> Lane<S> {
    /// Changes the subscription of the stream with this name. The stream is sent the newest ticks
    /// of added symbols, and then `ready`. Returns `None` if the stream is not in this lane or has
    /// ended.
    pub(crate) fn change(
        &mut self,
        id: StreamId,
        change: Option<ProposedChange>,
        now: Duration,
    ) -> Option<Result<Effective, EditError>> {
        let key = self
            .names
            .get(&id)
            .copied()
            .filter(|key| !self.streams[*key].ending)?;
        let stream = &mut self.streams[key];
        let session = stream.session.as_mut()?;
        let filter = self.groups.filter(stream.slot.group).clone();
        let current = Effective {
            filter,
            mode: session.mode,
            rate: session.rate,
            viewer: session.viewer.clone(),
        };
        let Some((from, effective, prepared)) = change else {
            return Some(if session.try_change(now) {
                Ok(current)
            } else {
                Err(EditError::TooOften)
            });
        };
        let symbols = self.replica.market().len();
        let comparisons = prepared
            .as_ref()
            .map_or(0, |prepared| prepared.lacking(symbols));
        if from != current || comparisons > COMPARISONS {
            return Some(Err(EditError::Outdated));
        }
        // The lane compares the symbols that were added after the selection, if there are few of
        // them.
        self.compared += comparisons;
        self.resubscribe(key, &effective, prepared, now);
        self.visit(key, now);
        self.remove_closed();
        Some(Ok(effective))
    }

    /// Gives a stream another filter and rate. The stream keeps its position on the tape.
    fn resubscribe(
        &mut self,
        key: Key,
        effective: &Effective,
        prepared: Option<Arc<Prepared>>,
        now: Duration,
    ) {
        let head = self.head();
        let Effective { filter, rate, .. } = effective;
        let previous = self.streams[key].slot.group;
        let filter_changed = self.groups.filter(previous) != filter;
        let format = match self.groups.format(previous) {
            // Until the stream has been sent its new symbols, its event ids must not be valid for
            // the new filter or for the old filter.
            EventFormat::Resumable(epoch, _) if filter_changed => {
                EventFormat::Resumable(epoch, Some(FilterHash::PENDING))
            }
            format => format,
        };
        // The stream joins the new group before it leaves the old group, so that the two groups can
        // be compared.
        let slot = self.join_group(key, (filter.clone(), prepared), format, rate.is_some());
        self.groups.complete(slot.group, self.replica.market());
        let added = self.groups.newly_selected(slot.group, previous);
        self.move_to_slot(key, slot);
        let stream = &mut self.streams[key];
        stream.leave_head(head);
        let position = stream.position.seq(head);
        stream.rate = rate.map(|rate| {
            let previous = stream.rate.as_ref();
            let limit = stream
                .session
                .as_ref()
                .and_then(|session| session.viewer.rate_limit());
            Box::new(RateState {
                until: position,
                armed: previous.and_then(|rate| rate.armed),
                // If the viewer has a maximum rate, a change brings no update forward.
                next: previous
                    .filter(|_| limit.is_some())
                    .map_or(now, |previous| previous.next.min(now + rate.interval())),
                ..RateState::new(rate.interval(), now)
            })
        });
        if let Some(session) = &mut stream.session {
            session.rate = *rate;
            session.add(added);
            session.ready = session.ready.max(Some(position));
            if filter_changed {
                session.note_filter_change();
            }
        }
    }

    /// Joins the group of a filter, in addition to the stream's current slot. If only the rate
    /// changes, the group is the same, and it must not be removed in between.
    pub(super) fn join_group(
        &mut self,
        key: Key,
        filter: (Filter, Option<Arc<Prepared>>),
        format: EventFormat,
        rated: bool,
    ) -> GroupSlot {
        let previous = Some(self.streams[key].slot.group);
        self.groups.join_group(
            key,
            filter,
            format,
            (rated, previous),
            self.replica.market(),
        )
    }

    /// Moves a stream to its new slot.
    pub(super) fn move_to_slot(&mut self, key: Key, mut slot: GroupSlot) {
        let previous = self.streams[key].slot;
        match self.groups.leave(previous) {
            // Both slots were in the same group, and the new slot has moved to the place of the old
            // slot.
            Some(moved) if moved == key => slot.replace(previous),
            Some(moved) => self.streams[moved].slot.replace(previous),
            None => {}
        }
        self.streams[key].slot = slot;
    }
}
