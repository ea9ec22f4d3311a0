//! What comes at once for everyone with the same filter.

use tickcast_core::render::{EventFormat, all_ticks};
use tickcast_core::{Frame, Position, Replica, Seq, Symbol, SymbolId};

use super::{Group, GroupId, Groups, Payload, PayloadBuilder};

/// Most bytes of one group's batch. Who is due more is brought to the head piece by piece.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// All batches that are made at a time have at most this part of the bytes that the tape may keep.
pub(in crate::lane) const TAPE_PER_BATCHES: usize = 4;

/// What has come for everyone with the same filter.
pub(in crate::lane) enum Batch {
    /// It, and how many ticks it holds.
    Made(Payload, usize),
    /// It is more than a batch may have.
    TooLong,
    /// Nobody was there to take the last one.
    NotMade,
}

impl Groups {
    /// Puts what happened to a symbol into the batch of every group it concerns; groups that had none yet are added to
    /// `touched`. Says whether it concerns any.
    pub(in crate::lane) fn add(
        &mut self,
        (at, id, symbol): (Position, SymbolId, Symbol),
        frame: Option<&Frame>,
        touched: &mut Vec<GroupId>,
    ) -> bool {
        let (mut concerns, mut stale) = (false, false);
        for number in &self.by_symbol[id.index()] {
            match self.groups.get_mut(*number) {
                Some(group) => {
                    group.add(*number, (at, symbol), frame, touched, &mut self.room);
                    concerns = true;
                }
                None => stale = true,
            }
        }
        for number in &self.wide {
            let group = &mut self.groups[*number];
            if group.selection.contains(id) {
                group.add(*number, (at, symbol), frame, touched, &mut self.room);
                concerns = true;
            }
        }
        if stale {
            self.by_symbol[id.index()].retain(|group| self.groups.contains_key(*group));
        }
        concerns
    }

    /// Notes whether anyone was there to take a group's batch.
    pub(in crate::lane) fn note_taken(&mut self, id: GroupId, taken: bool) {
        self.groups[id].unused_batches = !taken;
    }

    /// A group's batch.
    pub(in crate::lane) fn take_batch(&mut self, id: GroupId) -> Batch {
        let group = &mut self.groups[id];
        let batch = std::mem::replace(&mut group.batch, PayloadBuilder::new());
        let ticks = std::mem::take(&mut group.ticks);
        if std::mem::take(&mut group.overflowed) {
            return Batch::TooLong;
        }
        if group.unused_batches {
            return Batch::NotMade;
        }
        let payload = batch.finish();
        self.room += payload.len();
        group.typical_bytes = payload.len();
        Batch::Made(payload, ticks)
    }

    /// A group's batch of what came after `from`, for someone who turned out to be there.
    pub(in crate::lane) fn make_batch(&self, id: GroupId, from: Seq, replica: &Replica) -> Batch {
        let Group { selection, format, .. } = &self.groups[id];
        let (log, head) = ((replica.market(), replica.tape()), replica.head());
        let mut draft = PayloadBuilder::new();
        let rendered = all_ticks(log, selection, (from, head), *format, MAX_BATCH_BYTES, draft.bytes());
        if rendered.reached < head { Batch::TooLong } else { Batch::Made(draft.finish(), rendered.ticks) }
    }
}

impl Group {
    /// Puts what happened to a symbol that it wants into its batch; one that had none yet is added to `touched`.
    fn add(
        &mut self,
        number: GroupId,
        (at, symbol): (Position, Symbol),
        frame: Option<&Frame>,
        touched: &mut Vec<GroupId>,
        room: &mut usize,
    ) {
        // To a simple stream a symbol that is taken off is just silent.
        if frame.is_none() && self.format == EventFormat::Simple {
            return;
        }
        if self.ticks == 0 {
            touched.push(number);
        }
        self.ticks += 1;
        if self.rated == self.members.len() || self.overflowed || self.unused_batches {
            return;
        }
        let before = self.batch.len();
        self.format.entry(Some(at), symbol, frame, self.batch.bytes_of(self.typical_bytes));
        let more = self.batch.len() - before;
        if self.batch.len() > MAX_BATCH_BYTES || more > *room {
            *room += before;
            (self.overflowed, self.batch) = (true, PayloadBuilder::new());
        } else {
            *room -= more;
        }
    }
}
