//! Positions on the tape, and cursors: positions as text that a reader sends back.

use std::fmt;
use std::str::FromStr;

use crate::Symbol;

/// Maximum length of a cursor: 12 hex digits, a dash, 20 decimal digits, `_`, 20 decimal digits, a
/// dot, 4 characters.
const MAX_CURSOR_LEN: usize = 59;

/// Maximum length of an event id: a cursor, a dot, 4 characters.
pub(crate) const MAX_EVENT_ID_LEN: usize = MAX_CURSOR_LEN + 5;

/// Sequence number of a tick on the tape. The first tick has 1; 0 is the position before all ticks,
/// and the default. Contained in [`Outcome::Accepted`](crate::Outcome::Accepted) and in a
/// [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// The position before the first tick.
    pub const ZERO: Self = Self(0);

    /// Makes a sequence number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Appends the digits.
    #[inline]
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self.0).as_bytes());
    }

    /// Returns the next sequence number.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Identifier of one unbroken history of a tape. Sequence numbers are only comparable within one
/// epoch. 48 bits, written as 12 hex digits. Field of a [`Cursor`].
///
/// A tape in memory gets a new epoch at each start. A tape on disk keeps its epoch, until a crash
/// of the system or a repair may have lost ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Makes an epoch from the lower 48 bits of `seed`.
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

/// Running digest of a tape up to one position: of every tick, in order, as sent to readers.
/// Returned by [`Tape::digest`](crate::Tape::digest). Default: [`START`](Self::START).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(u32);

impl Digest {
    /// The digest of an empty tape.
    pub const START: Self = Self(0);

    /// Makes a digest from the result of [`to_bits`](Self::to_bits).
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the bits that are stored on disk.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// Returns the digest with one more entry: the JSON of a tick, or (for `None`) the removal of a
    /// symbol.
    #[must_use]
    pub fn with(self, symbol: &Symbol, json: Option<&[u8]>) -> Self {
        match json {
            Some(json) => Self(crc32c::crc32c_append(self.0, json)),
            // The JSON of a tick never begins with `-`.
            None => Self(crc32c::crc32c_append(
                crc32c::crc32c_append(self.0, b"-"),
                symbol.as_bytes(),
            )),
        }
    }

    /// Returns the part of the digest that a cursor contains.
    #[must_use]
    pub const fn check(self) -> Check {
        Check(self.0 & Check::MASK)
    }
}

/// The part of the [`Digest`] at its position that a cursor contains. The check detects a cursor of
/// another tape, for example of a copy that continued differently. 24 bits, written as four
/// characters of base64url. Returned by [`Digest::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Check(u32);

impl Check {
    const MASK: u32 = 0xff_ffff;

    /// Makes a check from the result of [`to_bits`](Self::to_bits).
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::MASK)
    }

    /// Returns the bits that are stored on disk.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

/// Hash of the filter of a changed stream, contained in the ids of that stream. The hash shows
/// whether a returning reader asks for the changed filter or for the first filter of the stream. 24
/// bits, written like a `Check`. Returned by [`Filter::filter_hash`](crate::Filter::filter_hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterHash(u32);

impl FilterHash {
    /// The hash of no filter. The newest ticks of the added symbols are not all sent yet.
    pub const PENDING: Self = Self(Check::MASK);

    pub(crate) const fn new(hash: u32) -> Self {
        let bits = hash & Check::MASK;
        if bits == Check::MASK {
            Self(0)
        } else {
            Self(bits)
        }
    }
}

impl fmt::Display for FilterHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&base64(self.0)).unwrap_or_default())
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Returns 24 bits as four characters.
fn base64(bits: u32) -> [u8; 4] {
    [18, 12, 6, 0].map(|shift| BASE64[(bits >> shift) as usize & 63])
}

fn from_base64(text: &str) -> Result<u32, CursorError> {
    let digit = |byte: u8| BASE64.iter().position(|known| *known == byte);
    let bits = text
        .bytes()
        .try_fold(0, |bits, byte| Some(bits << 6 | digit(byte)? as u32));
    bits.filter(|_| text.len() == 4).ok_or(CursorError)
}

/// A position on a tape, with a check of the tape's content. Returned by
/// [`Tape::position`](crate::Tape::position). Default: before the first tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Sequence number up to which everything was sent.
    pub seq: Seq,
    /// Position as of which the sent ticks were the newest. A conflated reader has not received
    /// ticks that a tick between `seq` and `as_of` had already replaced. Usually equal to `seq`.
    pub as_of: Seq,
    /// Check of the tape up to `as_of`.
    pub check: Check,
}

impl Position {
    /// Returns the position of a reader that received everything up to `seq`.
    #[must_use]
    pub const fn new(seq: Seq, check: Check) -> Self {
        Self {
            seq,
            as_of: seq,
            check,
        }
    }

    /// Returns the position of a reader that receives the newest ticks as of this position. The
    /// reader has received the symbols whose newest tick is at or before `seq`.
    #[must_use]
    pub const fn reached(self, seq: Seq) -> Self {
        Self { seq, ..self }
    }
}

/// A position on the tape that can be verified: `<epoch>-<seq>.<check>`. On the way to a later
/// position: `<epoch>-<seq>_<later>.<check>`. At most 59 characters. An invalid text never becomes
/// a cursor.
///
/// Returned by `tickcast::Hub::cursor`; the `id` of every event of a resumable stream is a cursor.
/// A client sends it back in the header `Last-Event-ID` or in the parameter `since` to continue
/// there.
///
/// ```
/// # use tickcast_core::{Cursor, Epoch};
/// let cursor: Cursor = "000000000abc-42.x7Q_".parse().unwrap();
/// assert_eq!((cursor.epoch, cursor.position.seq.get()), (Epoch::new(0xabc), 42));
/// assert_eq!(cursor.to_string(), "000000000abc-42.x7Q_");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Epoch of the tape.
    pub epoch: Epoch,
    /// Position on that tape. [`seq`](Cursor::seq) is its sequence number.
    pub position: Position,
}

/// Error for a text that is not a [`Cursor`] or not an `EventId`. Returned by `parse` of both. The
/// error does not contain the text, because a client can send any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor (expected 12 hex digits, a dash, a sequence number, a dot and 4 characters)")]
pub struct CursorError;

impl Cursor {
    /// Returns the sequence number of the last tick that the reader received.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.position.seq
    }

    /// Appends the text of the cursor. Every event of a resumable stream ends with a cursor.
    pub fn write(self, out: &mut Vec<u8>) {
        self.write_start(out);
        self.seq().write(out);
        self.write_end(out);
    }

    /// Appends the text up to the sequence number.
    fn write_start(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend(
            (0..12)
                .rev()
                .map(|digit| HEX[(self.epoch.0 >> (4 * digit)) as usize & 15]),
        );
        out.push(b'-');
    }

    /// Appends the text behind the sequence number.
    fn write_end(self, out: &mut Vec<u8>) {
        let Position { seq, as_of, check } = self.position;
        if as_of != seq {
            out.push(b'_');
            as_of.write(out);
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
        let (epoch, position) = text.split_once('-').ok_or(CursorError)?;
        let (seq, check) = position.split_once('.').ok_or(CursorError)?;
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
        let position = Position {
            seq,
            as_of,
            check: Check(from_base64(check)?),
        };
        Ok(Self {
            epoch: Epoch::new(epoch),
            position,
        })
    }
}

/// Reads a sequence number. Only one spelling is accepted: no sign and no leading zero.
fn number(text: &str) -> Result<Seq, CursorError> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    let number = text.parse().ok().filter(|_| plain);
    number.map(Seq::new).ok_or(CursorError)
}

/// Id of an event of a resumable stream: a [`Cursor`]. If the stream was changed, `.` and the hash
/// of the stream's filter follow. Made by `parse` and by
/// [`EventFormat::id`](crate::sse::EventFormat::id).
///
/// ```
/// use tickcast_core::EventId;
/// let id: EventId = "000000000abc-42.x7Q_.3fG1".parse().unwrap();
/// assert_eq!(id.cursor.to_string(), "000000000abc-42.x7Q_");
/// assert_eq!(id.to_string(), "000000000abc-42.x7Q_.3fG1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Position of the stream.
    pub cursor: Cursor,
    /// Hash of the new filter, if the stream was changed.
    pub filter: Option<FilterHash>,
}

impl EventId {
    /// Appends the text of the id.
    pub fn write(self, out: &mut Vec<u8>) {
        self.write_start(out);
        self.cursor.seq().write(out);
        self.write_end(out);
    }

    /// Appends the text up to the sequence number. Ids of one epoch have the same.
    pub(crate) fn write_start(self, out: &mut Vec<u8>) {
        self.cursor.write_start(out);
    }

    /// Appends the text behind the sequence number. Ids on the way to the same later position have
    /// the same.
    pub(crate) fn write_end(self, out: &mut Vec<u8>) {
        self.cursor.write_end(out);
        if let Some(hash) = self.filter {
            out.push(b'.');
            out.extend_from_slice(&base64(hash.0));
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cursor.fmt(f)?;
        self.filter.map_or(Ok(()), |hash| write!(f, ".{hash}"))
    }
}

impl FromStr for EventId {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        match text.match_indices('.').nth(1) {
            None => Ok(Self {
                cursor: text.parse()?,
                filter: None,
            }),
            Some((at, _)) => {
                let filter = Some(FilterHash(from_base64(&text[at + 1..])?));
                Ok(Self {
                    cursor: text[..at].parse()?,
                    filter,
                })
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
        fn a_parsed_id_is_written_the_same_way(text in "[0-9a-f]{12}-[0-9+]{1,4}(_[0-9]{1,4})?[.][0-9a-zA-Z_+-]{3,5}([.][0-9a-z]{4})?") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_handled_without_a_panic(text: String) {
            let _ = (text.parse::<Cursor>(), text.parse::<EventId>());
        }
    }

    #[test]
    fn texts_that_only_look_like_an_id_are_rejected() {
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
