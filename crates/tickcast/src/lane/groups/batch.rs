//! What comes at once for everyone with the same filter.

use tickcast_core::render::Dialect;
use tickcast_core::{Frame, Position, Symbol, SymbolId};

use super::{Draft, Group, GroupId, Groups, Piece};

/// Most bytes of one group's batch. Who is due more is brought to the head piece by piece.
const LONGEST_BATCH: usize = 1 << 20;

/// All batches that are made at a time have at most this part of the bytes that the tape may keep.
pub(in crate::lane) const TAPE_PER_BATCHES: usize = 4;

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

    /// A group's batch and how many ticks it holds; `None`: that is more than a batch may have.
    pub(in crate::lane) fn take_batch(&mut self, id: GroupId) -> Option<(Piece, usize)> {
        let group = &mut self.groups[id];
        let batch = std::mem::replace(&mut group.batch, Draft::new());
        let ticks = std::mem::take(&mut group.ticks);
        if std::mem::take(&mut group.overflowed) {
            return None;
        }
        let piece = batch.seal();
        self.room += piece.len();
        group.usual = piece.len();
        Some((piece, ticks))
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
        if frame.is_none() && self.dialect == Dialect::Simple {
            return;
        }
        if self.ticks == 0 {
            touched.push(number);
        }
        self.ticks += 1;
        if self.paced == self.members.len() || self.overflowed {
            return;
        }
        let before = self.batch.len();
        self.dialect.entry(Some(at), symbol, frame, self.batch.bytes_of(self.usual));
        let more = self.batch.len() - before;
        if self.batch.len() > LONGEST_BATCH || more > *room {
            *room += before;
            (self.overflowed, self.batch) = (true, Draft::new());
        } else {
            *room -= more;
        }
    }
}
