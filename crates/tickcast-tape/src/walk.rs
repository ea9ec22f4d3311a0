//! Reading of a tape block by block, to restore a log.

use tickcast_core::{Digest, Restore, Seq};

use crate::block::{Block, NoBlock};
use crate::segment::{HEAD, Segment};

/// Walk through a tape, block by block.
pub(crate) struct Walk {
    pub(crate) restore: Restore,
    /// Sequence number of the snapshot, and the digest in the snapshot, if any.
    pub(crate) base: Seq,
    pub(crate) snapshot_digest: Option<Digest>,
    /// Digest of the tape so far. `None` before the first segment.
    pub(crate) digest: Option<Digest>,
}

impl Walk {
    /// Walks through a segment, up to its end or up to damage. Returns a description of the damage.
    pub(crate) fn read_segment(&mut self, bytes: &[u8], segment: &Segment) -> Option<&'static str> {
        self.digest = Some(segment.before());
        if let Some(why) = self.check_digest_at(Seq::new(segment.first.get() - 1)) {
            return Some(why);
        }
        let mut at = HEAD;
        loop {
            let (block, length) = match Block::read(&bytes[at..]) {
                Ok(read) => read,
                // After the end, all bytes must be zero.
                Err(NoBlock::End) if bytes[at..].iter().all(|b| *b == 0) => return None,
                Err(NoBlock::End | NoBlock::Short(_)) => return Some("a block is cut off"),
                Err(NoBlock::Damaged(why)) => return Some(why),
            };
            if block.first != segment.last().next() {
                return Some("a block before this block is missing");
            }
            if block.records().count() != block.count as usize {
                return Some("the entries of the block are invalid");
            }
            let before = self.digest.unwrap_or_default();
            if block.stamp.is_some_and(|stamp| stamp.before != before) {
                return Some("the block does not continue the data before the block");
            }
            if let Some(why) = self.replay_block(&block) {
                return Some(why);
            }
            let times = Some(block.times());
            segment.grow((block.first, block.last()), length as u64, (before, times));
            at += length;
        }
    }

    /// Replays a block.
    fn replay_block(&mut self, block: &Block<'_>) -> Option<&'static str> {
        let now = block.stamp.map(|stamp| stamp.now);
        for (seq, recorded) in block.records() {
            self.digest = self
                .digest
                .map(|digest| digest.with(&recorded.symbol, recorded.json));
            // Entries that the snapshot includes are not stored in memory again.
            if seq > self.base {
                self.restore.replay(recorded, now);
            } else if let Some(why) = self.check_digest_at(seq) {
                return Some(why);
            }
        }
        for progress in block.keys().filter(|_| block.first > self.base) {
            self.restore.record_key(progress, now.unwrap_or_default());
        }
        None
    }

    /// Records that the tape was read up to `seq`. At the position of the snapshot, the digest must
    /// be the digest in the snapshot.
    fn check_digest_at(&mut self, seq: Seq) -> Option<&'static str> {
        if seq != self.base {
            return None;
        }
        match (self.snapshot_digest, self.digest) {
            (Some(expected), Some(digest)) if expected != digest => {
                Some("the snapshot of the market was made from another tape")
            }
            (None, Some(digest)) => {
                self.restore.set_digest(digest);
                None
            }
            _ => None,
        }
    }
}
