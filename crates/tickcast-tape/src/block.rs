//! Blocks: several entries of the tape, written together under one checksum.
//!
//! ```text
//! magic u32 │ length u32 │ checksum u32 │ entries u32 │ first u64 │ durable u64 │ now i64 │ digest u32 │ keys u32 │ records …
//! record: flags u8 │ length u16 │ a tick's JSON, or the symbol that was removed │ [length u8 │ close]
//!         flags u8 │ length u16 │ a key record: length u8 │ key │ next u64 │ done u8 │ report
//! ```
//!
//! `now` is the wall-clock time at which the entries were accepted. `digest` is the digest of the
//! tape before them. A key record is the progress of a request with an idempotency key; `keys` is
//! the number of key records. Blocks of the first version (`TKB1`) have no `now`, no `digest` and
//! no key records: their header ends with `durable`. The last block of a sealed segment is its
//! [footer](crate::footer).
//!
//! Numbers are little-endian. `length` is the length of the records. The checksum (CRC-32C) covers
//! `length` and everything after the checksum. `durable` is a sequence number up to which the disk
//! had confirmed everything when the block was written. If a later block shows that a damaged block
//! was confirmed, the damage was not caused by a crash.

use tickcast_core::{Digest, KeyProgress, MAX_SYMBOL_LEN, Recorded, Seq, Symbol, Time};

use crate::bytes::{self, read_short, take, u32_at, u64_at};
use crate::times::Times;

/// First bytes of every block, in this version and in the first version.
const MAGIC: [u8; 4] = *b"TKB2";
const MAGIC_1: [u8; 4] = *b"TKB1";

/// Length of the header of a block, in this version and in the first version.
pub(crate) const HEAD: usize = 48;
const HEAD_1: usize = 32;

/// Start of the checksummed bytes.
const CHECKED: usize = 12;

pub(crate) const GONE: u8 = 1;
pub(crate) const CLOSE: u8 = 2;
pub(crate) const KEY: u8 = 4;

/// Flag of the only record of a footer. Versions without footers read a block with this record as a
/// block without entries and without keys.
const FOOTER: u8 = 8;

/// Start of the only record of a footer. The length is not used.
pub(crate) const FOOTER_RECORD: [u8; 3] = [FOOTER, 0, 0];

/// Maximum number of bytes of the records of a block. The writer never writes more, so a larger
/// length is damage.
pub(crate) const MAX_BLOCK_BYTES: usize = 4 << 20;

/// Maximum number of bytes of one entry: the JSON of a tick with all its extras, its symbol, a
/// previous close.
pub(crate) const MAX_RECORD_BYTES: usize = 2048;

/// Maximum number of bytes of a key record. A longer report is not recorded.
pub(crate) const MAX_KEY_RECORD_BYTES: usize = 60_000;

/// Common data of all entries of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// Wall-clock time at which the entries were accepted.
    pub now: Time,
    /// Digest of the tape before the entries.
    pub before: Digest,
}

/// The numbers in the header of a block.
pub(crate) struct Head {
    pub(crate) first: Seq,
    pub(crate) durable: Seq,
    pub(crate) stamp: Stamp,
    pub(crate) count: u32,
    pub(crate) keys: u32,
}

impl Head {
    /// Writes the header of a block whose records are there.
    pub(crate) fn complete(&self, bytes: &mut [u8]) {
        let length = (bytes.len() - HEAD) as u32;
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.stamp.now.as_millis().to_le_bytes());
        bytes[40..44].copy_from_slice(&self.stamp.before.to_bits().to_le_bytes());
        bytes[44..48].copy_from_slice(&self.keys.to_le_bytes());
        let sum = checksum(&bytes[4..8], &bytes[CHECKED..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

fn checksum(length: &[u8], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), rest)
}

/// A complete block with a valid checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) first: Seq,
    pub(crate) durable: Seq,
    pub(crate) count: u32,
    /// Time and digest. `None` for a block of the first version.
    pub(crate) stamp: Option<Stamp>,
    keys: u32,
    records: &'a [u8],
}

/// Reason why no block was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBlock {
    /// Nothing was ever written at this position.
    End,
    /// More bytes are needed; contains the total number.
    Short(usize),
    /// The bytes are not a complete block as written.
    Damaged(&'static str),
}

/// Maximum sequence number. No tape ever gets there, and what is added to one does not overflow.
const MAX_SEQ: u64 = u64::MAX >> 1;

impl<'a> Block<'a> {
    /// Reads the block at the start of `bytes`. Returns the block and its length.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<(Self, usize), NoBlock> {
        let head_length = if bytes.starts_with(&MAGIC_1) {
            HEAD_1
        } else {
            HEAD
        };
        let Some(head) = bytes.get(..head_length) else {
            let end = bytes.iter().all(|b| *b == 0);
            return Err(if end {
                NoBlock::End
            } else {
                NoBlock::Short(head_length)
            });
        };
        if head.iter().all(|b| *b == 0) {
            return Err(NoBlock::End);
        }
        if head[..4] != MAGIC && head[..4] != MAGIC_1 {
            return Err(NoBlock::Damaged("no block begins here"));
        }
        let length = u32_at(head, 4) as usize;
        if length > MAX_BLOCK_BYTES {
            return Err(NoBlock::Damaged("the length of the block is invalid"));
        }
        let whole = head_length + length;
        let Some(all) = bytes.get(..whole) else {
            return Err(NoBlock::Short(whole));
        };
        if checksum(&all[4..8], &all[CHECKED..]) != u32_at(head, 8) {
            return Err(NoBlock::Damaged("the checksum of the block is wrong"));
        }
        let (stamp, keys) = if head_length == HEAD {
            let now = i64::from_le_bytes(u64_at(head, 32).to_le_bytes());
            let now = Time::from_millis(now)
                .map_err(|_| NoBlock::Damaged("the time of the block is invalid"))?;
            (
                Some(Stamp {
                    now,
                    before: Digest::from_bits(u32_at(head, 40)),
                }),
                u32_at(head, 44),
            )
        } else {
            (None, 0)
        };
        let count = u32_at(head, 12);
        if (count == 0 && keys == 0) || u64_at(head, 16) == 0 {
            return Err(NoBlock::Damaged("the block is empty"));
        }
        if u64_at(head, 16) > MAX_SEQ {
            return Err(NoBlock::Damaged("the position of the block is impossible"));
        }
        let (first, durable) = (Seq::new(u64_at(head, 16)), Seq::new(u64_at(head, 24)));
        Ok((
            Self {
                first,
                durable,
                count,
                stamp,
                keys,
                records: &all[head_length..],
            },
            whole,
        ))
    }

    /// Returns the sequence number of the last entry. If the block has no entries, returns the
    /// sequence number before the block.
    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.first.get() + u64::from(self.count) - 1)
    }

    /// Returns the content of a footer, if the block is one.
    pub(crate) fn footer(&self) -> Option<&'a [u8]> {
        let content = self.records.strip_prefix(&FOOTER_RECORD)?;
        (self.count == 0 && self.keys == 1).then_some(content)
    }

    /// Returns the earliest and the latest time of the ticks.
    pub(crate) fn times(&self) -> Times {
        let (mut rest, mut times) = (self.records, Times::default());
        for _ in 0..self.count.saturating_add(self.keys) {
            let Some((flags, payload)) = split(&mut rest) else {
                break;
            };
            let is_tick = flags & (GONE | KEY) == 0;
            let time = is_tick.then(|| time_of(payload)).flatten();
            time.into_iter().for_each(|time| times.add(time));
            if flags & CLOSE != 0 && read_short(&mut rest).is_none() {
                break;
            }
        }
        times
    }

    /// Returns the recorded progress of requests.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyProgress<'a>> + use<'a> {
        let records = match self.keys {
            0 => 0,
            keys => self.count.saturating_add(keys),
        };
        all(self.records, records).filter_map(|record| match record {
            Record::Key(progress) => Some(progress),
            Record::Entry(_) => None,
        })
    }

    /// Returns the entries in order. Stops early if an entry is invalid although the checksum is
    /// right.
    pub(crate) fn records(&self) -> impl Iterator<Item = (Seq, Recorded<'a>)> + use<'a> {
        let entries = all(self.records, self.count.saturating_add(self.keys)).filter_map(
            |record| match record {
                Record::Entry(recorded) => Some(recorded),
                Record::Key(_) => None,
            },
        );
        (self.first.get()..).map(Seq::new).zip(entries)
    }
}

/// One record of a block.
enum Record<'a> {
    Entry(Recorded<'a>),
    Key(KeyProgress<'a>),
}

fn all(mut rest: &[u8], count: u32) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || record(&mut rest)).take(count as usize)
}

/// Splits off the flags and the payload of a record. A previous close stays.
fn split<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let head = take(rest, 3)?;
    let payload = take(rest, u16::from_le_bytes([head[1], head[2]]).into())?;
    Some((head[0], payload))
}

/// Returns the time in the JSON of a tick. No field before it contains its name.
fn time_of(json: &[u8]) -> Option<Time> {
    const NAME: &[u8] = b",\"time\":";
    let at = memchr::memmem::find(json, NAME)?;
    let digits = json[at + NAME.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let millis = digits.fold(0i64, |millis, digit| {
        millis
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Time::from_millis(millis).ok()
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<Record<'a>> {
    let (flags, mut payload) = split(rest)?;
    if flags & KEY != 0 {
        let key = std::str::from_utf8(read_short(&mut payload)?).ok()?;
        let next = u64_at(take(&mut payload, 8)?, 0);
        let done = take(&mut payload, 1)?[0] != 0;
        return Some(Record::Key(KeyProgress {
            key,
            next,
            done,
            report: payload,
        }));
    }
    let (symbol, json) = if flags & GONE == 0 {
        let name = payload.strip_prefix(b"{\"symbol\":\"")?;
        let name = &name[..name
            .iter()
            .take(MAX_SYMBOL_LEN + 1)
            .position(|b| *b == b'"')?];
        (name, Some(payload))
    } else {
        (payload, None)
    };
    let symbol = Symbol::new(std::str::from_utf8(symbol).ok()?).ok()?;
    let prev_close = if flags & CLOSE == 0 {
        None
    } else {
        Some(bytes::read_price(rest)?)
    };
    Some(Record::Entry(Recorded {
        symbol,
        prev_close,
        json,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::Batch;

    const JSON: &[u8] = br#"{"symbol":"BTC/USD","price":1}"#;

    const PROGRESS: KeyProgress<'_> = KeyProgress {
        key: "k-1",
        next: 12,
        done: true,
        report: b"{}",
    };

    fn recorded(json: Option<&[u8]>) -> Recorded<'_> {
        let symbol = Symbol::new("BTC/USD").unwrap();
        Recorded {
            symbol,
            prev_close: Some("0.10".parse().unwrap()),
            json,
        }
    }

    fn block() -> Vec<u8> {
        let mut batch = Batch::default();
        let now = Time::from_millis(7).unwrap();
        batch.begin((Seq::new(40), Digest::from_bits(9)), now);
        batch.push(&recorded(Some(JSON)));
        batch.push_key(&PROGRESS);
        batch.push(&recorded(None));
        batch.finish(Seq::new(5)).to_vec()
    }

    #[test]
    fn a_block_reads_back() {
        let bytes = block();
        let (block, length) = Block::read(&bytes).unwrap();
        assert_eq!(
            (
                length,
                block.first.get(),
                block.last().get(),
                block.durable.get()
            ),
            (bytes.len(), 41, 42, 5)
        );
        let records: Vec<_> = block.records().collect();
        assert_eq!(
            (records.len(), records[0].1.json, records[1].1.json),
            (2, Some(JSON), None)
        );
        assert_eq!(records[1].1.prev_close.unwrap().to_string(), "0.10");
        assert_eq!(records[1].1.symbol.as_str(), "BTC/USD");
        assert_eq!(block.keys().collect::<Vec<_>>(), [PROGRESS]);
        let stamp = block.stamp.unwrap();
        assert_eq!((stamp.now.as_millis(), stamp.before.to_bits()), (7, 9));
        assert_eq!(Block::read(&[0; 64]).unwrap_err(), NoBlock::End);
        assert_eq!(Block::read(&[]).unwrap_err(), NoBlock::End);
    }

    #[test]
    fn the_times_of_a_block_are_those_of_its_ticks() {
        let mut batch = Batch::default();
        batch.begin((Seq::new(40), Digest::from_bits(9)), Time::default());
        let json = |time: i64| {
            format!(r#"{{"symbol":"BTC/USD","price":1,"change":0,"time":{time},"n":1,"time2":3}}"#)
        };
        for time in [50, 7, 900] {
            batch.push(&recorded(Some(json(time).as_bytes())));
            batch.push_key(&PROGRESS);
            batch.push(&recorded(None));
        }
        let bytes = batch.finish(Seq::new(5)).to_vec();
        let times = Block::read(&bytes).unwrap().0.times();
        let (earliest, latest) = (times.earliest.as_millis(), times.latest.as_millis());
        assert_eq!((earliest, latest), (7, 900));
        assert_eq!(Block::read(&block()).unwrap().0.times(), Times::default());
    }

    /// The checksum of such a block is right.
    #[test]
    fn the_numbers_of_records_may_be_impossible() {
        let mut bytes = block();
        bytes[12..16].fill(0xff);
        bytes[44..48].fill(0xff);
        let sum = checksum(&bytes[4..8], &bytes[CHECKED..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        let (block, _) = Block::read(&bytes).unwrap();
        assert_eq!((block.records().count(), block.keys().count()), (2, 1));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_detected(at: prop::sample::Index, change in 1u8..) {
            let mut bytes = block();
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(Block::read(&bytes).is_err());
        }

        #[test]
        fn a_part_of_a_block_is_not_a_block(cut: prop::sample::Index) {
            let bytes = block();
            let cut = cut.index(bytes.len());
            prop_assert!(Block::read(&bytes[..cut]).is_err());
        }

        /// The checksum of such a block is right.
        #[test]
        fn a_block_at_an_impossible_position_is_refused(first in MAX_SEQ + 1..) {
            let mut bytes = block();
            bytes[16..24].copy_from_slice(&first.to_le_bytes());
            let sum = checksum(&bytes[4..8], &bytes[CHECKED..]);
            bytes[8..12].copy_from_slice(&sum.to_le_bytes());
            prop_assert!(matches!(Block::read(&bytes), Err(NoBlock::Damaged(_))));
        }

        #[test]
        fn any_bytes_are_handled_without_a_panic(mut bytes: Vec<u8>, valid_header: bool) {
            if valid_header && bytes.len() >= HEAD {
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
