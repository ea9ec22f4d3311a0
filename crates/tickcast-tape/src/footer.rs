//! Footers: the last block of a sealed segment, from which the segment is opened without reading its
//! other blocks.
//!
//! ```text
//! header of a block: no entries, one key │ flags u8 = 8 │ 0 u16 │ strides │ summary
//! stride: first u64 │ offset u64 │ earliest i64 │ latest i64 │ digest u32
//! summary: first u64 │ last u64 │ earliest i64 │ latest i64 │ digest before u32 │ digest after u32 │ version u32 │ length u32 │ "TICKFOOT"
//! ```
//!
//! `length` is the length of the whole block, so that a footer is found from the end of its file.
//! The checksum of the block covers everything. The only record of the block is a key record that
//! is not valid: versions without footers find nothing in the block and read on.

use std::fs::File;
use std::os::unix::fs::FileExt;

use tickcast_core::{Digest, Seq, Time};

use crate::block::{Block, FOOTER_RECORD, HEAD, Head, Stamp};
use crate::bytes::{take, u32_at, u64_at};
use crate::index::{FIRST_BLOCK, Index, Stride};
use crate::times::Times;

const MARK: &[u8; 8] = b"TICKFOOT";
const VERSION: u32 = 1;

const STRIDE_BYTES: usize = 36;
const SUMMARY_BYTES: usize = 56;
/// The end of the summary: the length and the mark.
const TAIL_BYTES: usize = 12;

/// Maximum number of bytes of a footer: enough for a segment of a gigabyte.
const MAX_BYTES: usize = 1 << 20;

/// What opening needs to know of a sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    /// Digest of the tape before the first and after the last entry.
    pub(crate) before: Digest,
    pub(crate) after: Digest,
    /// Where the footer begins in the file.
    pub(crate) at: u64,
    pub(crate) index: Index,
}

impl Footer {
    /// Encodes the footer as a block. All times in the index must be known.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEAD];
        out.extend_from_slice(&FOOTER_RECORD);
        for stride in self.index.strides() {
            out.extend_from_slice(&stride.first.get().to_le_bytes());
            out.extend_from_slice(&stride.offset.to_le_bytes());
            write_times(stride.times, &mut out);
            out.extend_from_slice(&stride.before.to_bits().to_le_bytes());
        }
        let length = out.len() + SUMMARY_BYTES;
        out.extend_from_slice(&self.first.get().to_le_bytes());
        out.extend_from_slice(&self.last.get().to_le_bytes());
        write_times(self.index.times(), &mut out);
        out.extend_from_slice(&self.before.to_bits().to_le_bytes());
        out.extend_from_slice(&self.after.to_bits().to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(length as u32).to_le_bytes());
        out.extend_from_slice(MARK);
        let head = Head {
            first: self.last.next(),
            // A footer is written after the disk has confirmed the entries before it.
            durable: self.last,
            stamp: Stamp {
                now: Time::default(),
                before: self.after,
            },
            count: 0,
            keys: 1,
        };
        head.complete(&mut out);
        out
    }

    /// Reads the footer at the end of a file. Returns `None` if there is none, or a description of
    /// the damage.
    pub(crate) fn read(file: &File) -> Result<Option<Self>, &'static str> {
        let unreadable = |_| "it cannot be read";
        let file_length = file.metadata().map_err(unreadable)?.len();
        let mut tail = [0; TAIL_BYTES];
        let Some(tail_at) = file_length.checked_sub(TAIL_BYTES as u64) else {
            return Ok(None);
        };
        file.read_exact_at(&mut tail, tail_at).map_err(unreadable)?;
        if tail[4..] != *MARK {
            return Ok(None);
        }
        let length = u32_at(&tail, 0) as usize;
        let at = file_length.checked_sub(length as u64);
        let at = at
            .filter(|_| length <= MAX_BYTES)
            .ok_or("its length is invalid")?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).map_err(unreadable)?;
        let footer = Self::decode(&bytes, at)?;
        Ok(Some(footer))
    }

    /// Decodes a footer that begins at a byte of its file.
    fn decode(bytes: &[u8], at: u64) -> Result<Self, &'static str> {
        let (block, length) = Block::read(bytes).map_err(|_| "its checksum is wrong")?;
        let content = block.footer().filter(|_| length == bytes.len());
        let mut content = content.ok_or("the block is not a footer")?;
        let strides = content.len().checked_sub(SUMMARY_BYTES);
        let strides = strides.filter(|bytes| bytes % STRIDE_BYTES == 0);
        let strides = strides.and_then(|bytes| take(&mut content, bytes));
        let strides = strides.ok_or("its length is invalid")?;
        if u32_at(content, 40) != VERSION {
            return Err("another version wrote it");
        }
        let (first, last) = (u64_at(content, 0), u64_at(content, 8));
        let footer = Self {
            first: Seq::new(first),
            last: Seq::new(last),
            before: Digest::from_bits(u32_at(content, 32)),
            after: Digest::from_bits(u32_at(content, 36)),
            at,
            index: read_strides(strides, at).ok_or("a time is invalid")?,
        };
        let matches = block.first.get().checked_sub(1) == Some(last)
            && read_times(&content[16..]) == Some(footer.index.times())
            && footer.is_consistent();
        matches.then_some(footer).ok_or("it contradicts itself")
    }

    /// Checks whether the strides follow each other, from the first entry to the last.
    fn is_consistent(&self) -> bool {
        let strides = self.index.strides();
        let begins = strides.first().is_some_and(|stride| {
            (stride.first, stride.before) == (self.first, self.before)
                && stride.offset == FIRST_BLOCK
        });
        let ends = strides.last().is_some_and(|stride| stride.offset < self.at);
        let in_order = strides
            .windows(2)
            .all(|pair| pair[0].first <= pair[1].first && pair[0].offset < pair[1].offset);
        let bounded = strides
            .iter()
            .all(|stride| stride.first.get() <= self.last.get() + 1);
        self.first <= self.last && begins && ends && in_order && bounded
    }
}

fn write_times(times: Times, out: &mut Vec<u8>) {
    out.extend_from_slice(&times.earliest.as_millis().to_le_bytes());
    out.extend_from_slice(&times.latest.as_millis().to_le_bytes());
}

fn read_times(bytes: &[u8]) -> Option<Times> {
    let time = |at| Time::from_millis(i64::try_from(u64_at(bytes, at)).ok()?).ok();
    Some(Times {
        earliest: time(0)?,
        latest: time(8)?,
    })
}

/// Reads the strides of a footer that begins at byte `end`.
fn read_strides(bytes: &[u8], end: u64) -> Option<Index> {
    let all: Vec<_> = bytes.chunks_exact(STRIDE_BYTES).collect();
    let ends = all.iter().skip(1).map(|next| u64_at(next, 8)).chain([end]);
    let strides = all.iter().zip(ends).map(|(bytes, end)| {
        Some(Stride {
            first: Seq::new(u64_at(bytes, 0)),
            offset: u64_at(bytes, 8),
            before: Digest::from_bits(u32_at(bytes, 32)),
            times: read_times(&bytes[16..])?,
            timed_to: end,
        })
    });
    strides.collect::<Option<_>>().map(Index::of)
}

/// Checks whether the bytes after the last entry of a segment may be what is left of a footer, for
/// example after a crash while it was written. Blocks with entries or keys never look like this:
/// they have a time.
pub(crate) fn is_remnant(rest: &[u8]) -> bool {
    let written = rest.iter().rposition(|byte| *byte != 0);
    let rest = &rest[..written.map_or(0, |last| last + 1)];
    let is_zero = |range| {
        let bytes = rest.get(range);
        bytes.is_none_or(|bytes: &[u8]| bytes.iter().all(|byte| *byte == 0))
    };
    let has_head = is_zero(12..16) && is_zero(32..40);
    let flags = rest.get(HEAD).copied().unwrap_or_default();
    // The first page may be lost although later pages are not.
    let has_flag = [0, FOOTER_RECORD[0]].contains(&flags);
    rest.ends_with(MARK) || (has_head && has_flag)
}
