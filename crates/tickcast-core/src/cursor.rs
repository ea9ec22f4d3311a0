//! A place on the tape.

use std::fmt;
use std::str::FromStr;

use crate::Symbol;

/// The longest text that can be a cursor: 12 hex digits, a dash, twice 20 decimal digits, a dot, 4 characters.
const MAX_CURSOR_LEN: usize = 59;

/// The number of a tick on the tape: 1 is the first, 0 stands before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// The place before the first tick.
    pub const ZERO: Self = Self(0);

    /// The tick with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One unbroken life of a tape: sequence numbers mean something only within it. 48 bits, written as 12 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Keeps the lower 48 bits of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed & 0xffff_ffff_ffff)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

/// The running digest of a tape up to one place: of every tick, in order, as readers are sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(u32);

impl Digest {
    /// That of an empty tape.
    pub const START: Self = Self(0);

    /// What [`to_bits`](Self::to_bits) gave.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As it is kept on disk.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// With one more entry: the JSON of a tick, or a symbol that was taken off.
    #[must_use]
    pub fn with(self, symbol: &Symbol, json: Option<&[u8]>) -> Self {
        match json {
            Some(json) => Self(crc32c::crc32c_append(self.0, json)),
            // No tick's JSON begins like this.
            None => Self(crc32c::crc32c_append(crc32c::crc32c_append(self.0, b"-"), symbol.as_bytes())),
        }
    }

    /// What a cursor holds of it.
    #[must_use]
    pub const fn check(self) -> Check {
        Check(self.0 & Check::MASK)
    }
}

/// What a cursor holds of the [`Digest`] at its place, so that a cursor of another tape, of a copy that went on otherwise, say, is
/// told apart: 24 bits, written as four characters of base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Check(u32);

impl Check {
    const MASK: u32 = 0xff_ffff;

    /// What [`to_bits`](Self::to_bits) gave.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::MASK)
    }

    /// As it is kept on disk.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

/// What an id holds of the filter of a stream that was changed, so that its reader can be told apart from one that asks for the
/// filter that it began with: 24 bits, written like a [`Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterHash(u32);

impl FilterHash {
    /// That of no filter: the newest ticks of what was added are on their way, and have not all been sent.
    pub const PENDING: Self = Self(Check::MASK);

    pub(crate) const fn new(hash: u32) -> Self {
        let bits = hash & Check::MASK;
        if bits == Check::MASK { Self(0) } else { Self(bits) }
    }
}

impl fmt::Display for FilterHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&base64(self.0)).unwrap_or_default())
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 24 bits as four characters.
fn base64(bits: u32) -> [u8; 4] {
    [18, 12, 6, 0].map(|shift| BASE64[(bits >> shift) as usize & 63])
}

fn from_base64(text: &str) -> Result<u32, CursorError> {
    let digit = |byte: u8| BASE64.iter().position(|known| *known == byte);
    let bits = text.bytes().try_fold(0, |bits, byte| Some(bits << 6 | digit(byte)? as u32));
    bits.filter(|_| text.len() == 4).ok_or(CursorError)
}

/// A place on a tape, and what the tape looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Everything up to and including this tick is behind it.
    pub seq: Seq,
    /// As the tape stood here: whoever is given newest values has not seen those that were newer already. Mostly the same place.
    pub as_of: Seq,
    /// What was on the tape up to there.
    pub check: Check,
}

impl Position {
    /// Of someone who has seen everything up to `seq`.
    #[must_use]
    pub const fn new(seq: Seq, check: Check) -> Self {
        Self { seq, as_of: seq, check }
    }

    /// Of someone who is being given newest values as of this place, and has those that moved up to `seq`.
    #[must_use]
    pub const fn reached(self, seq: Seq) -> Self {
        Self { seq, ..self }
    }
}

/// A place on the tape that verifies itself: `<epoch>-<seq>.<check>`; on the way to a later place, `<epoch>-<seq>_<later>.<check>`.
/// It parses or it does not exist.
///
/// ```
/// use tickcast_core::{Cursor, Epoch};
/// let cursor: Cursor = "000000000abc-42.x7Q_".parse().unwrap();
/// assert_eq!((cursor.epoch, cursor.position.seq.get()), (Epoch::new(0xabc), 42));
/// assert_eq!(cursor.to_string(), "000000000abc-42.x7Q_");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the tape it belongs to.
    pub epoch: Epoch,
    /// Where in it.
    pub position: Position,
}

/// A text that is no [`Cursor`]. What it held is not repeated: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: 12 hex digits, a dash, a sequence number, a dot and 4 characters are expected")]
pub struct CursorError;

impl Cursor {
    /// The number of the last tick behind it.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.position.seq
    }

    /// Appends it as it is written. Every event of a resumable stream ends in one.
    pub fn write(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let Position { seq, as_of, check } = self.position;
        out.extend((0..12).rev().map(|digit| HEX[(self.epoch.0 >> (4 * digit)) as usize & 15]));
        out.push(b'-');
        out.extend_from_slice(itoa::Buffer::new().format(seq.0).as_bytes());
        if as_of != seq {
            out.push(b'_');
            out.extend_from_slice(itoa::Buffer::new().format(as_of.0).as_bytes());
        }
        out.push(b'.');
        out.extend_from_slice(&base64(check.0));
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(MAX_CURSOR_LEN);
        self.write(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_CURSOR_LEN {
            return Err(CursorError);
        }
        let (epoch, place) = text.split_once('-').ok_or(CursorError)?;
        let (seq, check) = place.split_once('.').ok_or(CursorError)?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if epoch.len() != 12 || !epoch.bytes().all(hex) {
            return Err(CursorError);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| CursorError)?;
        let (seq, as_of) = match seq.split_once('_') {
            Some((seq, as_of)) => (number(seq)?, Some(number(as_of)?)),
            None => (number(seq)?, None),
        };
        if as_of.is_some_and(|as_of| as_of <= seq) {
            return Err(CursorError);
        }
        let as_of = as_of.unwrap_or(seq);
        let position = Position { seq, as_of, check: Check(from_base64(check)?) };
        Ok(Self { epoch: Epoch::new(epoch), position })
    }
}

/// A sequence number as it is written: one spelling only, without a sign or a leading zero.
fn number(text: &str) -> Result<Seq, CursorError> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    let number = text.parse().ok().filter(|_| plain);
    number.map(Seq::new).ok_or(CursorError)
}

/// What the events of a resumable stream end in: a [`Cursor`], and, where the stream was changed, `.` and the mark of its filter.
///
/// ```
/// use tickcast_core::EventId;
/// let id: EventId = "000000000abc-42.x7Q_.3fG1".parse().unwrap();
/// assert_eq!(id.cursor.to_string(), "000000000abc-42.x7Q_");
/// assert_eq!(id.to_string(), "000000000abc-42.x7Q_.3fG1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Where the stream stands.
    pub cursor: Cursor,
    /// What it was changed to.
    pub filter: Option<FilterHash>,
}

impl EventId {
    /// Appends it as it is written.
    pub fn write(self, out: &mut Vec<u8>) {
        self.cursor.write(out);
        if let Some(mark) = self.filter {
            out.push(b'.');
            out.extend_from_slice(&base64(mark.0));
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cursor.fmt(f)?;
        self.filter.map_or(Ok(()), |mark| write!(f, ".{mark}"))
    }
}

impl FromStr for EventId {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        match text.match_indices('.').nth(1) {
            None => Ok(Self { cursor: text.parse()?, filter: None }),
            Some((at, _)) => {
                let filter = Some(FilterHash(from_base64(&text[at + 1..])?));
                Ok(Self { cursor: text[..at].parse()?, filter })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_parses_back(epoch: u64, seq: u64, later: Option<u64>, digest: u32, filter: Option<u32>) {
            let as_of = Seq::new(seq.saturating_add(later.unwrap_or_default()));
            let position = Position { seq: Seq::new(seq), as_of, check: Digest(digest).check() };
            let cursor = Cursor { epoch: Epoch::new(epoch), position };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            let id = EventId { cursor, filter: filter.map(FilterHash::new) };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let mut written = Vec::new();
            id.write(&mut written);
            prop_assert_eq!(&written, &id.to_string().into_bytes());
            prop_assert!(written.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b)));
            prop_assert_ne!(id.filter, Some(FilterHash::PENDING));
        }

        #[test]
        fn what_parses_is_spelled_that_way(text in "[0-9a-f]{12}-[0-9+]{1,4}(_[0-9]{1,4})?[.][0-9a-zA-Z_+-]{3,5}([.][0-9a-z]{4})?") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_survived(text: String) {
            let _ = (text.parse::<Cursor>(), text.parse::<EventId>());
        }
    }

    #[test]
    fn near_misses() {
        for bad in [
            "",
            "-",
            "-1",
            "e-",
            "000000000abc",
            "000000000abc-",
            "000000000abc-1",
            "000000000abc-1.",
            "000000000abc-1.AAA",
            "000000000abc-1.AAAAA",
            "000000000abc-1.AAA=",
            "000000000abc--1.AAAA",
            "000000000abc-+1.AAAA",
            "000000000abc-01.AAAA",
            "000000000ABC-1.AAAA",
            "00000000abc-1.AAAA",
            "000000000abc-18446744073709551616.AAAA",
            "000000000abc-1.AAAA\n",
            " 000000000abc-1.AAAA",
            "000000000abc-1.AAAA.AAA",
            "000000000abc-2_1.AAAA",
            "000000000abc-2_2.AAAA",
            "000000000abc-2_.AAAA",
            "000000000abc-_2.AAAA",
            "000000000abc-2_3_4.AAAA",
            "000000000abc-1.AAAA.AAAA.AAAA",
        ] {
            assert_eq!(bad.parse::<EventId>(), Err(CursorError), "{bad:?}");
        }
    }
}
