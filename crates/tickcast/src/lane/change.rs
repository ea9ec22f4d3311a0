//! Changes the subscription of an open stream.

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::sse::EventFormat;
use tickcast_core::{Filter, FilterHash, Seq};

use super::groups::{COMPARISONS, GroupSlot};
use super::stream::RateState;
use super::{ChangeAnswer, ChangeRequest, Key, Lane, ProposedChange, Sink};
use crate::hub::PreparedFilter;
use crate::subscription::{EditError, Effective, PreparedStream, StreamId};

impl<S: Sink> Lane<S> {
    /// Handles a request that concerns the streams with this name. Returns `None` if this lane has
    /// no such stream.
    pub(crate) fn change(
        &mut self,
        id: StreamId,
        request: ChangeRequest,
        now: Duration,
    ) -> Option<ChangeAnswer> {
        match request {
            ChangeRequest::Ask => self.ask(id, now).map(|current| current.map(Some)),
            ChangeRequest::Propose(proposed) => self
                .propose(id, proposed, now)
                .map(|effective| effective.map(Some)),
            ChangeRequest::Follow(stream, prepared) => self
                .follow(&stream, prepared.as_ref(), now)
                .map(|effective| effective.map(Some)),
            ChangeRequest::Delete => self.delete(id).then_some(Ok(None)),
        }
    }

    /// Returns the subscription of the stream with this name, for somebody who wants to change it.
    fn ask(&mut self, id: StreamId, now: Duration) -> Option<Result<Effective, EditError>> {
        let key = self.own_stream(id)?;
        let admitted = self.streams[key].session.as_mut()?.admit_change(now);
        Some(match admitted {
            Ok(()) => Ok(self.effective(key)?),
            Err(too_soon) => Err(too_soon.into()),
        })
    }

    /// Changes the subscription of the stream with this name. The stream is sent the newest ticks
    /// of added symbols, and then `ready`.
    fn propose(
        &mut self,
        id: StreamId,
        (from, effective, prepared): ProposedChange,
        now: Duration,
    ) -> Option<Result<Effective, EditError>> {
        let key = self.own_stream(id)?;
        if from != self.effective(key)? || self.lacks_too_much(prepared.as_deref()) {
            return Some(Err(EditError::Outdated));
        }
        self.resubscribe(key, &effective, prepared, now);
        self.visit(key, now);
        self.remove_closed();
        Some(Ok(effective))
    }

    /// Gives all readers of a prepared stream its current subscription.
    fn follow(
        &mut self,
        stream: &PreparedStream,
        prepared: Option<&Arc<PreparedFilter>>,
        now: Duration,
    ) -> Option<Result<Effective, EditError>> {
        let effective = stream.current()?;
        let mut keys = self.names.all(stream.id);
        keys.retain(|key| !self.streams[*key].ending);
        if keys.is_empty() {
            return None;
        }
        if self.lacks_too_much(prepared.map(Arc::as_ref)) {
            return Some(Err(EditError::Outdated));
        }
        for key in keys {
            if self
                .effective(key)
                .is_some_and(|current| current != effective)
            {
                self.resubscribe(key, &effective, prepared.cloned(), now);
                self.visit(key, now);
            }
        }
        self.remove_closed();
        Some(Ok(effective))
    }

    /// Returns the stream with this name, if it has the name for itself and has not ended.
    fn own_stream(&self, id: StreamId) -> Option<Key> {
        self.names.own(id).filter(|key| !self.streams[*key].ending)
    }

    /// Returns the current subscription of a resumable stream.
    fn effective(&self, key: Key) -> Option<Effective> {
        let stream = &self.streams[key];
        let session = stream.session.as_ref()?;
        Some(Effective {
            filter: self.groups.filter(stream.slot.group).clone(),
            mode: session.mode,
            rate: session.rate,
            viewer: session.viewer.clone(),
        })
    }

    /// Checks whether a filter has not been compared with too many symbols that were added after
    /// its selection. The lane compares them, if they are few.
    fn lacks_too_much(&mut self, prepared: Option<&PreparedFilter>) -> bool {
        let symbols = self.replica.market().len();
        let comparisons = prepared.map_or(0, |prepared| prepared.lacking(symbols));
        let too_much = comparisons > COMPARISONS;
        if !too_much {
            self.compared += comparisons;
        }
        too_much
    }

    /// Gives a stream another filter and rate. The stream keeps its position on the tape.
    fn resubscribe(
        &mut self,
        key: Key,
        effective: &Effective,
        prepared: Option<Arc<PreparedFilter>>,
        now: Duration,
    ) {
        let reached = self.reached(key);
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
        if self.groups.complete(slot.group, self.replica.market()) {
            self.queue_visits(slot.group);
        }
        let added = self.groups.newly_selected(slot.group, previous);
        self.move_to_slot(key, slot);
        let stream = &mut self.streams[key];
        stream.leave_head(reached);
        let position = stream.position.seq(reached);
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
        filter: (Filter, Option<Arc<PreparedFilter>>),
        format: EventFormat,
        rated: bool,
    ) -> GroupSlot {
        self.unwanted_until = Seq::ZERO;
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
