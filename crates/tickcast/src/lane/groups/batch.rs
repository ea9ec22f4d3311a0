//! Batches: the new ticks for all streams with the same filter.

use std::collections::VecDeque;

use tickcast_core::sse::EventFormat;
use tickcast_core::sse::render::all_ticks;
use tickcast_core::{Entry, Market, Position, Replica, Seq};

use super::{Group, GroupId, Groups, Payload, PayloadBuilder};

/// Maximum size of the batch of one group, in bytes. A stream that needs more is sent payload after
/// payload.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Divisor of the tape's maximum bytes. The result is the maximum size of all batches at a time.
pub(in crate::lane) const TAPE_PER_BATCHES: usize = 4;

/// The batch of a group, taken from the group.
pub(in crate::lane) struct TakenBatch {
    pub(in crate::lane) batch: Batch,
    /// The position before the batch.
    pub(in crate::lane) from: Seq,
    /// Whether all members are visited after the batch.
    pub(in crate::lane) visits_all: bool,
}

/// The new ticks for all streams with the same filter.
pub(in crate::lane) enum Batch {
    /// The batch, and the number of its ticks.
    Made(Payload, usize),
    /// A batch above the maximum size.
    TooLong,
    /// No batch, because no member used the last batch.
    NotMade,
}

impl Groups {
    /// Adds a change of a symbol to the batch of every group that wants the symbol. Adds the groups
    /// with a first change to `with_batch`. Returns whether any group wants the symbol.
    pub(in crate::lane) fn add(
        &mut self,
        (at, entry): (Position, &Entry),
        market: &Market,
        with_batch: &mut VecDeque<GroupId>,
    ) -> bool {
        let id = entry.symbol;
        let (mut wanted, mut stale) = (false, false);
        for group_id in self.by_symbol.groups(id) {
            match self.groups.get_mut(*group_id) {
                Some(group) => {
                    let free = &mut self.free_batch_bytes;
                    group.add(*group_id, (at, entry), market, with_batch, free);
                    wanted = true;
                }
                None => stale = true,
            }
        }
        for group_id in &self.wide {
            let group = &mut self.groups[*group_id];
            if group.selection.contains(id) {
                let free = &mut self.free_batch_bytes;
                group.add(*group_id, (at, entry), market, with_batch, free);
                wanted = true;
            }
        }
        if stale {
            let exists = |group| self.groups.contains_key(group);
            self.by_symbol.retain(id, exists);
        }
        wanted
    }

    /// Records whether any member used the batch of a group.
    pub(in crate::lane) fn note_batch_used(&mut self, id: GroupId, used: bool) {
        self.groups[id].unused_batches = !used;
    }

    /// Checks whether a group has a batch that its members at the head have not been sent yet.
    pub(in crate::lane) fn has_batch(&self, id: GroupId) -> bool {
        self.groups[id].ticks > 0
    }

    /// Returns the position up to which the members at the head have been sent everything, if the
    /// lane is at `head`.
    pub(in crate::lane) fn position(&self, id: GroupId, head: Seq) -> Seq {
        let group = &self.groups[id];
        match group.ticks {
            0 => head,
            _ => group.before_batch,
        }
    }

    /// Has the members of a group visited when they have been sent its batch.
    pub(in crate::lane) fn visit_after_batch(&mut self, id: GroupId) {
        self.groups[id].visited_after_batch = true;
    }

    /// Takes the batch of a group, with the position before it. Returns `None` if the group no longer
    /// exists.
    pub(in crate::lane) fn take_batch(&mut self, id: GroupId) -> Option<TakenBatch> {
        let group = self.groups.get_mut(id)?;
        let batch = std::mem::replace(&mut group.batch, PayloadBuilder::new());
        let ticks = std::mem::take(&mut group.ticks);
        let batch = if std::mem::take(&mut group.overflowed) {
            Batch::TooLong
        } else if group.unused_batches {
            self.free_batch_bytes += batch.len();
            Batch::NotMade
        } else {
            let payload = batch.finish();
            self.free_batch_bytes += payload.len();
            group.typical_bytes = payload.len();
            Batch::Made(payload, ticks)
        };
        Some(TakenBatch {
            batch,
            from: group.before_batch,
            visits_all: std::mem::take(&mut group.visited_after_batch),
        })
    }

    /// Makes the batch of a group with the ticks after `from`, for a member that needs the batch
    /// after all.
    pub(in crate::lane) fn make_batch(&self, id: GroupId, from: Seq, replica: &Replica) -> Batch {
        let Group {
            selection, format, ..
        } = &self.groups[id];
        let (log, head) = ((replica.market(), replica.tape()), replica.head());
        if !replica.tape().reaches_back_to(from) {
            return Batch::TooLong;
        }
        let mut draft = PayloadBuilder::new();
        let rendered = all_ticks(
            log,
            selection,
            (from, head),
            *format,
            MAX_BATCH_BYTES,
            draft.bytes(),
        );
        if rendered.reached < head {
            Batch::TooLong
        } else {
            Batch::Made(draft.finish(), rendered.ticks)
        }
    }
}

impl Group {
    /// Adds a change of a wanted symbol to the batch. Adds a group with a first change to
    /// `with_batch`.
    fn add(
        &mut self,
        group_id: GroupId,
        (at, entry): (Position, &Entry),
        market: &Market,
        with_batch: &mut VecDeque<GroupId>,
        free_batch_bytes: &mut usize,
    ) {
        let frame = entry.frame();
        // A simple stream is not sent the removal of a symbol.
        if frame.is_none() && self.format == EventFormat::Simple {
            return;
        }
        if self.ticks == 0 {
            with_batch.push_back(group_id);
            self.before_batch = Seq::new(at.seq.get().saturating_sub(1));
        }
        self.ticks += 1;
        if self.rated == self.members.len() || self.overflowed || self.unused_batches {
            return;
        }
        let before = self.batch.len();
        let out = self.batch.bytes_of(self.typical_bytes);
        let symbol = || market.symbol(entry.symbol);
        self.format.entry(Some(at), frame, symbol, out);
        let added = self.batch.len() - before;
        if self.batch.len() > MAX_BATCH_BYTES || added > *free_batch_bytes {
            *free_batch_bytes += before;
            (self.overflowed, self.batch) = (true, PayloadBuilder::new());
        } else {
            *free_batch_bytes -= added;
        }
    }
}
