//! A place on the tape.

use std::fmt;
use std::str::FromStr;

/// The longest text that can be a cursor: 12 hex digits, a dash, 20 decimal digits.
const MAX_CURSOR_LEN: usize = 33;

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

/// A place on the tape: `<epoch>-<seq>`. It parses or it does not exist.
///
/// ```
/// use tickcast_core::{Cursor, Epoch, Seq};
/// let cursor = Cursor { epoch: Epoch::new(0xabc), seq: Seq::new(42) };
/// assert_eq!(cursor.to_string(), "000000000abc-42");
/// assert_eq!("000000000abc-42".parse(), Ok(cursor));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the tape it belongs to.
    pub epoch: Epoch,
    /// Everything up to and including this tick is behind it.
    pub seq: Seq,
}

/// A text that is no [`Cursor`]. What it held is not repeated: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: 12 hex digits, a dash and a sequence number are expected")]
pub struct CursorError;

impl Cursor {
    /// Appends it as it is written. Every event of a resumable stream ends in one.
    pub fn write(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend((0..12).rev().map(|digit| HEX[(self.epoch.0 >> (4 * digit)) as usize & 15]));
        out.push(b'-');
        out.extend_from_slice(itoa::Buffer::new().format(self.seq.0).as_bytes());
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq.get())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_CURSOR_LEN {
            return Err(CursorError);
        }
        let (epoch, seq) = text.split_once('-').ok_or(CursorError)?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        // One spelling only: no sign, no leading zero, no upper case.
        let plain = seq == "0" || (!seq.starts_with('0') && seq.bytes().all(|b| b.is_ascii_digit()));
        if epoch.len() != 12 || !epoch.bytes().all(hex) || !plain {
            return Err(CursorError);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| CursorError)?;
        let seq = seq.parse().map_err(|_| CursorError)?;
        Ok(Self { epoch: Epoch::new(epoch), seq: Seq::new(seq) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_cursor_parses_back(epoch: u64, seq: u64) {
            let cursor = Cursor { epoch: Epoch::new(epoch), seq: Seq::new(seq) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            let mut written = Vec::new();
            cursor.write(&mut written);
            prop_assert_eq!(written, cursor.to_string().into_bytes());
        }

        #[test]
        fn what_parses_is_spelled_that_way(text in "[0-9a-f+-]{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_survived(text: String) {
            let _ = text.parse::<Cursor>();
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
            "000000000abc--1",
            "000000000abc-+1",
            "000000000abc-01",
            "000000000ABC-1",
            "00000000abc-1",
            "000000000abc-18446744073709551616",
            "000000000abc-1\n",
            " 000000000abc-1",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad:?}");
        }
    }
}
