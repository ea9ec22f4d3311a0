//! The identifier of a stream, required to change the stream.

use std::fmt;
use std::str::FromStr;

/// The identifier of a resumable stream: 128 random bits. Only a client that received the
/// identifier can change the stream. The text form is 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamId(u128);

impl StreamId {
    /// Returns an identifier that cannot be guessed, or `None` if the system has no randomness.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(u128::from_ne_bytes(bytes)))
    }

    #[cfg(test)]
    pub(crate) const fn of(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for StreamId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| hex)
            .map(Self)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_form_of_an_id_can_be_parsed() {
        let id = StreamId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "5f",
            &"F".repeat(32),
            &"+".repeat(32),
            &"0".repeat(33),
            "+0000000000000000000000000000001",
        ] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }
}
