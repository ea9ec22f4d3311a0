//! Computes the notices of a resumable stream, which are sent besides ticks.

use std::collections::HashSet;
use std::time::Duration;

use tickcast_core::{CloseReason, EventId, Notice, Now, Position, Seq, SymbolId};

use super::RETRY_MS;
use crate::lane::groups::GroupId;
use crate::lane::payload::{Payload, PayloadBuilder};
use crate::lane::rendered::{MAX_PAYLOAD_BYTES, Progress, Rendered};
use crate::lane::resume::settled_format;
use crate::lane::statuses::Statuses;
use crate::lane::{Key, Lane, Sink, WriteOutcome};
use crate::rate::Rate;
use crate::sources::VersionedStatus;

/// Name and version of the server, as sent in `ready`.
const SERVER: &str = concat!("tickcast/", env!("CARGO_PKG_VERSION"));

impl<S: Sink> Lane<S> {
    /// Returns the version of the statuses that the lane has sent.
    pub(crate) const fn status_version(&self) -> u64 {
        self.statuses.version
    }

    /// Updates the statuses, because a source has changed its state, and begins to send the changes to
    /// all resumable streams.
    pub(crate) fn update_statuses(
        &mut self,
        statuses: Vec<VersionedStatus>,
        version: u64,
        now: Duration,
    ) {
        self.statuses = Statuses::new(statuses, version);
        // Who waited longest comes first, also if a source changes its state again and again.
        let waiting: HashSet<_> = self.status_visits.iter().copied().collect();
        let others = self.names.keys().filter(|key| !waiting.contains(key));
        self.status_visits.extend(others);
        self.visit_for_statuses(now);
    }

    /// Returns the next notice that a resumable stream must be sent before more ticks.
    pub(in crate::lane) fn next_notice(&self, key: Key) -> Option<Rendered> {
        let stream = &self.streams[key];
        let session = stream.session.as_ref()?;
        let seq = self.reached(key);
        let group = stream.slot.group;
        let mut draft = PayloadBuilder::new();
        let id = self.id(group, seq);
        let mut write = |notice: Notice<'_>| notice.write(id, draft.bytes());
        let (progress, ticks) = if let Some((reason, last)) = &session.broken {
            // After a reset, the reader has seen nothing.
            let id = self.groups.format(group).id(self.position(Seq::ZERO));
            Notice::Reset {
                reason: *reason,
                last,
            }
            .write(id, draft.bytes());
            (Progress::Reset, 0)
        } else if !session.has_statuses(self.statuses.version) {
            let reached = self.write_status_changes(session.sent_version, (key, seq), &mut write);
            let restored = self.restored.changes();
            let of_symbols = self.has_few_symbols(group);
            let version = reached.unwrap_or(self.statuses.version);
            (Progress::Statuses(version, restored, of_symbols), 0)
        } else if session.filter_changed {
            // The stream has already been sent the status of the sources.
            let of_symbols = |notice: &Notice<'_>| !matches!(notice, Notice::Status(_));
            let reached = self.write_status_changes(None, (key, seq), &mut |notice| {
                if of_symbols(&notice) {
                    write(notice);
                }
            });
            let version = reached.unwrap_or(self.statuses.version);
            let of_symbols = self.has_few_symbols(group);
            (Progress::FilterStatuses(version, of_symbols), 0)
        } else if let changes = self.restored_to_send(key, seq)
            && !changes.is_empty()
        {
            let selection = self.groups.selection(group);
            let sends = session.knows_symbols || self.has_few_symbols(group);
            let ids = changes.iter().map(|(id, _)| *id);
            for id in ids.filter(|id| sends && selection.contains(*id)) {
                if let Some(notice) = self.current_status(id) {
                    write(notice);
                }
            }
            (Progress::Restored(session.restored + changes.len()), 0)
        } else if !session.added.is_empty() {
            let added = session.added.ids_from(session.added_from);
            let (from, ticks) = self.render_added(group, added, seq, draft.bytes());
            (Progress::Added(from, self.head()), ticks)
        // If the tape no longer holds this position, `ready` is sent at the head.
        } else if let Some(at) = self
            .position(seq)
            .filter(|_| session.ready.is_some_and(|at| seq >= at))
        {
            let filter = self.groups.filter(group).filter_hash();
            let ready = Notice::Ready {
                stream: &session.id.to_string(),
                symbols: self.groups.listed(group, self.replica.market()),
                filter,
                mode: session.mode,
                rate: session.rate.map(Rate::rate),
                heartbeat: session.heartbeat.as_secs(),
                resumed: session.resumed,
                delay: Some(self.limits.delay.as_secs()).filter(|delay| *delay > 0),
                server: SERVER,
            };
            ready.write(
                settled_format(self.groups.format(group), filter).id(Some(at)),
                draft.bytes(),
            );
            (Progress::Ready, 0)
        } else {
            return None;
        };
        Some(Rendered {
            payload: draft.finish(),
            ticks,
            position: stream.position,
            progress: Some(progress),
        })
    }

    /// Appends the newest ticks of added symbols to a stream at `position`. Symbols that were
    /// updated later are sent as normal ticks. Returns the symbol index from which ticks are still
    /// missing, and the number of ticks.
    fn render_added(
        &self,
        group: GroupId,
        added: impl Iterator<Item = SymbolId>,
        position: Seq,
        out: &mut Vec<u8>,
    ) -> (usize, usize) {
        let (market, format) = (self.replica.market(), self.groups.format(group));
        // If the tape no longer holds the position, its id says that it was reached as of the head.
        let as_of = || Some(self.position(self.head())?.reached(position));
        let at = Some(self.position(position).or_else(as_of).unwrap_or_default());
        let mut ticks = 0;
        for id in added {
            let wanted = self.groups.wants(group, id) && market.last_seq(id) <= position;
            if let Some(frame) = market.newest(id).filter(|_| wanted) {
                format.tick(at, frame, out);
                ticks += 1;
            }
            if out.len() >= MAX_PAYLOAD_BYTES {
                return (id.index() + 1, ticks);
            }
        }
        (usize::MAX, ticks)
    }

    /// Returns a heartbeat for a resumable stream; `None` for a simple stream.
    pub(in crate::lane) fn heartbeat(&self, key: Key, now: Now) -> Option<Payload> {
        let stream = &self.streams[key];
        stream.session.as_ref()?;
        let seq = self.reached(key);
        let on_disk = stream
            .session
            .as_ref()
            .and_then(|session| session.reached)
            .filter(|at| at.seq == seq);
        let on_disk = self.groups.format(stream.slot.group).id(on_disk);
        let id = self.id(stream.slot.group, seq).or(on_disk);
        let mut draft = PayloadBuilder::new();
        Notice::Heartbeat {
            time: now.wall,
            sources: &self.statuses.sources,
        }
        .write(id, draft.bytes());
        Some(draft.finish())
    }

    /// Ends a stream. A resumable stream is sent the reason.
    pub(in crate::lane) fn close_stream(&mut self, key: Key, reason: CloseReason) {
        if let Some(session) = &mut self.streams[key].session {
            session.close_reason = Some(reason);
        }
        self.end_stream(key);
    }

    /// Writes `bye` with the reason for the end, if it was not written yet. Returns whether the
    /// sink accepted it.
    pub(in crate::lane) fn write_bye(&mut self, key: Key) -> WriteOutcome {
        let stream = &self.streams[key];
        let Some(reason) = stream
            .session
            .as_ref()
            .and_then(|session| session.close_reason)
        else {
            return WriteOutcome::Taken;
        };
        // If `reset` was not sent yet, `bye` carries no id. The client then sends its old cursor
        // again and gets `reset`.
        let reset = stream
            .session
            .as_ref()
            .is_some_and(|session| session.broken.is_some());
        let id = self
            .id(stream.slot.group, self.reached(key))
            .filter(|_| !reset);
        let mut draft = PayloadBuilder::new();
        Notice::Bye {
            reason,
            retry: fastrand::u32(RETRY_MS),
        }
        .write(id, draft.bytes());
        let stream = &mut self.streams[key];
        let outcome = stream.sink.write(&draft.finish());
        if let Some(session) = stream
            .session
            .as_mut()
            .filter(|_| outcome == WriteOutcome::Taken)
        {
            session.close_reason = None;
        }
        outcome
    }

    /// Returns the id of an event that ends at a sequence number. An event without an id does not
    /// change the reader's cursor. There is no id if the tape no longer holds the position, because
    /// no reader could resume from there. There is also no id if the stream has been sent nothing
    /// yet, so that the reader keeps its first cursor.
    fn id(&self, group: GroupId, seq: Seq) -> Option<EventId> {
        self.groups.format(group).id(self
            .position(seq)
            .filter(|_| seq > Seq::ZERO || self.head() == Seq::ZERO))
    }

    fn position(&self, seq: Seq) -> Option<Position> {
        self.replica.tape().position(seq)
    }
}
