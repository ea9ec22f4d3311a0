//! A batch: entries that are written together.

use tickcast_core::{Digest, KeyProgress, Recorded, Seq, Time};

use crate::block::{CLOSE, GONE, HEAD, Head, KEY, MAX_KEY_RECORD_BYTES, MAX_RECORD_BYTES, Stamp};
use crate::bytes;

/// Entries that are written together, with one system call: one block for each time at which
/// entries were accepted. Pass it to [`Writer::commit`](crate::Writer::commit). Default: no entries.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    blocks: Vec<Begun>,
}

/// A block of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Where the block begins in the batch.
    at: usize,
    /// Where the block ends. Known when the batch is finished.
    end: usize,
    pub(crate) first: Seq,
    pub(crate) stamp: Stamp,
    count: u32,
    keys: u32,
}

impl Begun {
    /// Returns the sequence number of the last entry.
    pub(crate) const fn last(&self) -> Seq {
        Seq::new(self.first.get() + self.count as u64 - 1)
    }

    pub(crate) const fn len(&self) -> u64 {
        (self.end - self.at) as u64
    }

    const fn is_empty(&self) -> bool {
        self.count == 0 && self.keys == 0
    }
}

impl Batch {
    /// Maximum number of bytes of a batch: 256 KiB. Check [`is_full`](Self::is_full) before each
    /// entry.
    pub const MAX_BYTES: usize = 256 << 10;

    /// Sets the wall-clock time at which the next entries are accepted. `last` is the sequence
    /// number before them, and `digest` the digest of the tape there.
    pub fn begin(&mut self, (last, digest): (Seq, Digest), now: Time) {
        match self.blocks.last() {
            Some(block) if block.stamp.now == now && !block.is_empty() => return,
            Some(block) if block.is_empty() => {
                self.bytes.truncate(block.at);
                self.blocks.pop();
            }
            _ => {}
        }
        let at = self.bytes.len();
        self.bytes.resize(at + HEAD, 0);
        self.blocks.push(Begun {
            at,
            end: 0,
            first: last.next(),
            stamp: Stamp {
                now,
                before: digest,
            },
            count: 0,
            keys: 0,
        });
    }

    /// Adds an entry. Call [`begin`](Self::begin) first.
    pub fn push(&mut self, recorded: &Recorded<'_>) {
        let Recorded {
            symbol,
            prev_close,
            json,
        } = recorded;
        let Some(block) = self.blocks.last_mut() else {
            return;
        };
        let flags =
            if json.is_none() { GONE } else { 0 } | if prev_close.is_some() { CLOSE } else { 0 };
        // The JSON of a tick begins with its symbol.
        let payload = json.unwrap_or_else(|| symbol.as_bytes());
        let [l0, l1] = (payload.len() as u16).to_le_bytes();
        let out = &mut self.bytes;
        out.extend_from_slice(&[flags, l0, l1]);
        out.extend_from_slice(payload);
        if let Some(close) = prev_close {
            bytes::write_price(*close, out);
        }
        block.count += 1;
    }

    /// Adds the progress of a request, unless the progress is too long. Call
    /// [`begin`](Self::begin) first.
    pub fn push_key(&mut self, progress: &KeyProgress<'_>) {
        let KeyProgress {
            key,
            next,
            done,
            report,
        } = progress;
        let length = 1 + key.len() + 9 + report.len();
        let Some(block) = self.blocks.last_mut() else {
            return;
        };
        if key.len() > usize::from(u8::MAX) || length > MAX_KEY_RECORD_BYTES {
            return;
        }
        let [l0, l1] = (length as u16).to_le_bytes();
        let out = &mut self.bytes;
        out.extend_from_slice(&[KEY, l0, l1, key.len() as u8]);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&next.to_le_bytes());
        out.push(u8::from(*done));
        out.extend_from_slice(report);
        block.keys += 1;
    }

    /// Checks whether there may be no room for one more entry with the progress of its request.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        let next = 2 * HEAD + MAX_RECORD_BYTES + MAX_KEY_RECORD_BYTES;
        self.bytes.len() + next > Self::MAX_BYTES
    }

    /// Checks whether there may be no room for another 64 KiB of entries.
    #[must_use]
    pub const fn is_half_full(&self) -> bool {
        self.bytes.len() > Self::MAX_BYTES / 2
    }

    /// Checks whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.iter().all(Begun::is_empty)
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.blocks.clear();
    }

    pub(crate) fn blocks(&self) -> &[Begun] {
        &self.blocks
    }

    /// Completes all blocks. The disk has confirmed everything up to `durable`.
    pub(crate) fn finish(&mut self, durable: Seq) -> &[u8] {
        if let Some(empty) = self.blocks.pop_if(|block| block.is_empty()) {
            self.bytes.truncate(empty.at);
        }
        let mut end = self.bytes.len();
        for block in self.blocks.iter_mut().rev() {
            block.end = end;
            let head = Head {
                first: block.first,
                durable,
                stamp: block.stamp,
                count: block.count,
                keys: block.keys,
            };
            head.complete(&mut self.bytes[block.at..end]);
            end = block.at;
        }
        &self.bytes
    }
}
