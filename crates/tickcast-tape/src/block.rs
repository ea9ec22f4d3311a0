//! What is written in one go: some entries of the tape, checked together.
//!
//! ```text
//! magic  u32 │ length u32 │ checksum u32 │ count u32 │ first u64 │ durable u64 │ records …
//! record: flags u8 │ length u16 │ a tick's JSON, or the symbol that was taken off │ [length u8 │ close]
//! ```
//!
//! Numbers are little-endian. The length is that of the records, the checksum (CRC-32C) covers everything behind it. `durable` is a
//! place up to which the disk had confirmed everything when the block was written: where a later block knows that a damaged
//! one had been safe, it was not just the tail of a crash.

use tickcast_core::{MAX_SYMBOL_LEN, Recorded, Seq, Symbol};

use crate::bytes::{self, take, u32_at, u64_at};

/// What every block begins with.
const MAGIC: [u8; 4] = *b"TKB1";

/// How long a block's head is.
pub(crate) const HEAD: usize = 32;

/// Where what the checksum covers begins.
const CHECKED: usize = 12;

const GONE: u8 = 1;
const CLOSE: u8 = 2;

/// Most bytes of a block's records. Longer ones are not written, so nothing longer is believed.
pub(crate) const LONGEST: usize = 4 << 20;

/// Most bytes that one record can take: a tick's JSON with all its extras, its symbol, a close.
pub(crate) const LONGEST_RECORD: usize = 2048;

/// A block that is being written.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    count: u32,
}

impl Draft {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEAD, 0);
        self.count = 0;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push(&mut self, recorded: &Recorded<'_>) {
        let Recorded { symbol, prev_close, json } = recorded;
        let flags = if json.is_none() { GONE } else { 0 } | if prev_close.is_some() { CLOSE } else { 0 };
        // A tick's JSON begins with its symbol.
        let what = json.unwrap_or_else(|| symbol.as_bytes());
        let [l0, l1] = (what.len() as u16).to_le_bytes();
        let out = &mut self.bytes;
        out.extend_from_slice(&[flags, l0, l1]);
        out.extend_from_slice(what);
        if let Some(close) = prev_close {
            bytes::write_price(*close, out);
        }
        self.count += 1;
    }

    /// The finished block, whose first entry is `first`.
    pub(crate) fn seal(&mut self, first: Seq, durable: Seq) -> &[u8] {
        let length = (self.bytes.len() - HEAD) as u32;
        self.bytes[..4].copy_from_slice(&MAGIC);
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&first.get().to_le_bytes());
        self.bytes[24..32].copy_from_slice(&durable.get().to_le_bytes());
        let checksum = checksum(&self.bytes[4..8], &self.bytes[CHECKED..]);
        self.bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        &self.bytes
    }
}

fn checksum(length: &[u8], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), rest)
}

/// A block as it was read, whole and checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) first: Seq,
    pub(crate) durable: Seq,
    pub(crate) count: u32,
    records: &'a [u8],
}

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBlock {
    /// Nothing was ever written here.
    End,
    /// More bytes are needed, so many in all.
    Short(usize),
    /// This is not what was written, or not all of it.
    Damaged(&'static str),
}

impl<'a> Block<'a> {
    /// The block that `bytes` begin with, and how long it is.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<(Self, usize), NoBlock> {
        let Some(head) = bytes.get(..HEAD) else {
            return Err(if bytes.iter().all(|b| *b == 0) { NoBlock::End } else { NoBlock::Short(HEAD) });
        };
        if head.iter().all(|b| *b == 0) {
            return Err(NoBlock::End);
        }
        if head[..4] != MAGIC {
            return Err(NoBlock::Damaged("no block begins here"));
        }
        let length = u32_at(head, 4) as usize;
        if length > LONGEST {
            return Err(NoBlock::Damaged("its length cannot be"));
        }
        let Some(all) = bytes.get(..HEAD + length) else { return Err(NoBlock::Short(HEAD + length)) };
        if checksum(&all[4..8], &all[CHECKED..]) != u32_at(head, 8) {
            return Err(NoBlock::Damaged("its checksum is wrong"));
        }
        if u32_at(head, 12) == 0 || u64_at(head, 16) == 0 {
            return Err(NoBlock::Damaged("it holds nothing"));
        }
        let (first, durable) = (Seq::new(u64_at(head, 16)), Seq::new(u64_at(head, 24)));
        Ok((Self { first, durable, count: u32_at(head, 12), records: &all[HEAD..] }, HEAD + length))
    }

    /// The place of its last entry.
    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.first.get() + u64::from(self.count) - 1)
    }

    /// Its entries, in order. Ends early where what was checked makes no sense all the same.
    pub(crate) fn records(&self) -> impl Iterator<Item = (Seq, Recorded<'a>)> + use<'a> {
        let (mut rest, mut seq) = (self.records, self.first);
        std::iter::from_fn(move || {
            let recorded = record(&mut rest)?;
            let this = seq;
            seq = seq.next();
            Some((this, recorded))
        })
        .take(self.count as usize)
    }
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<Recorded<'a>> {
    let head = take(rest, 3)?;
    let flags = head[0];
    let what = take(rest, u16::from_le_bytes([head[1], head[2]]).into())?;
    let (symbol, json) = if flags & GONE == 0 {
        let name = what.strip_prefix(b"{\"symbol\":\"")?;
        let name = &name[..name.iter().take(MAX_SYMBOL_LEN + 1).position(|b| *b == b'"')?];
        (name, Some(what))
    } else {
        (what, None)
    };
    let symbol = Symbol::new(std::str::from_utf8(symbol).ok()?).ok()?;
    let prev_close = if flags & CLOSE == 0 { None } else { Some(bytes::read_price(rest)?) };
    Some(Recorded { symbol, prev_close, json })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &[u8] = br#"{"symbol":"BTC/USD","price":1}"#;

    fn recorded(json: Option<&[u8]>) -> Recorded<'_> {
        let symbol = Symbol::new("BTC/USD").unwrap();
        Recorded { symbol, prev_close: Some("0.10".parse().unwrap()), json }
    }

    fn block() -> Vec<u8> {
        let mut draft = Draft::default();
        draft.clear();
        draft.push(&recorded(Some(JSON)));
        draft.push(&recorded(None));
        draft.seal(Seq::new(41), Seq::new(5)).to_vec()
    }

    #[test]
    fn reads_back() {
        let bytes = block();
        let (block, length) = Block::read(&bytes).unwrap();
        assert_eq!(
            (length, block.first.get(), block.last().get(), block.durable.get()),
            (bytes.len(), 41, 42, 5)
        );
        let records: Vec<_> = block.records().collect();
        assert_eq!((records.len(), records[0].1.json, records[1].1.json), (2, Some(JSON), None));
        assert_eq!(records[1].1.prev_close.unwrap().to_string(), "0.10");
        assert_eq!(records[1].1.symbol.as_str(), "BTC/USD");
        assert_eq!(Block::read(&[0; 64]).unwrap_err(), NoBlock::End);
        assert_eq!(Block::read(&[]).unwrap_err(), NoBlock::End);
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at: prop::sample::Index, change in 1u8..) {
            let mut bytes = block();
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(Block::read(&bytes).is_err());
        }

        #[test]
        fn a_part_of_one_is_none(cut: prop::sample::Index) {
            let bytes = block();
            let cut = cut.index(bytes.len());
            prop_assert!(Block::read(&bytes[..cut]).is_err());
        }

        #[test]
        fn any_bytes_are_survived(mut bytes: Vec<u8>, honest: bool) {
            if honest && bytes.len() >= HEAD {
                bytes[..4].copy_from_slice(&MAGIC);
                let length = (bytes.len() - HEAD) as u32;
                bytes[4..8].copy_from_slice(&length.to_le_bytes());
                let sum = checksum(&bytes[4..8], &bytes[CHECKED..]);
                bytes[8..12].copy_from_slice(&sum.to_le_bytes());
            }
            if let Ok((block, _)) = Block::read(&bytes) {
                let _ = block.records().count();
            }
        }
    }
}
