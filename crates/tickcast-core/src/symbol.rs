//! The name of something that has a price.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Maximum length of a symbol: 32 bytes.
pub const MAX_SYMBOL_LEN: usize = 32;

/// The name of something that has a price: 1–32 of `A-Z a-z 0-9 . _ - / : ^ = &`.
///
/// A symbol is stored inline and is `Copy`, so that an incoming tick needs no allocation for its
/// symbol. Symbols are ordered by their bytes. Upper case and lower case differ.
///
/// Make one with [`Symbol::new`] or with `parse`.
///
/// ```
/// # use tickcast_core::Symbol;
/// assert_eq!(Symbol::new("BTC-USD").unwrap().as_str(), "BTC-USD");
/// assert!(Symbol::new("BTC USD").is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Symbol {
    len: u8,
    bytes: [u8; MAX_SYMBOL_LEN],
}

/// Reason why a text is not a [`Symbol`].
///
/// Returned by [`Symbol::new`] and by `parse`. Also contained in `TickError::Symbol` and
/// `FilterError::Entry`. As a `tickcast::http::Problem`, the error has the status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// The text is empty.
    #[error("symbol is empty")]
    Empty,
    /// The text has more than 32 bytes (`MAX_SYMBOL_LEN`). Contains the length of the text, in
    /// bytes. A pattern of a [`Filter`](crate::Filter) may have 65 bytes.
    #[error("symbol has {0} bytes, the limit is {MAX_SYMBOL_LEN}")]
    TooLong(usize),
    /// The text contains a character that is not allowed. Contains the first such character.
    /// Allowed are `A-Z a-z 0-9 . _ - / : ^ = &`, and `*` in a pattern of a
    /// [`Filter`](crate::Filter).
    #[error("symbol holds {0:?}; allowed are A-Z a-z 0-9 . _ - / : ^ = &")]
    Character(char),
}

impl Symbol {
    /// Checks and copies `text`.
    ///
    /// # Errors
    /// If `text` is empty, is longer than 32 bytes, or contains a character that is not
    /// [allowed](Self::allows).
    pub fn new(text: &str) -> Result<Self, SymbolError> {
        if text.is_empty() {
            return Err(SymbolError::Empty);
        }
        if text.len() > MAX_SYMBOL_LEN {
            return Err(SymbolError::TooLong(text.len()));
        }
        if let Some(c) = text.chars().find(|c| !Self::allows(*c)) {
            return Err(SymbolError::Character(c));
        }
        let mut bytes = [0; MAX_SYMBOL_LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self {
            len: text.len() as u8,
            bytes,
        })
    }

    /// Checks whether `c` is allowed in a symbol: one of `A-Z a-z 0-9 . _ - / : ^ = &`.
    #[must_use]
    pub const fn allows(c: char) -> bool {
        matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '/' | ':' | '^' | '=' | '&')
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // `as_str` never fails: `new`, the only constructor, accepts only ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the bytes of the name, all ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Self, SymbolError> {
        Self::new(text)
    }
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Symbol {}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_character_and_every_allowed_length_is_accepted() {
        for text in [
            "A",
            "BRK.B",
            "EUR/USD",
            "^SPX",
            "ES=F",
            "X:a_b-1",
            "AT&T",
            &"z".repeat(32),
        ] {
            assert_eq!(Symbol::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_error_names_what_is_wrong() {
        assert_eq!(Symbol::new(""), Err(SymbolError::Empty));
        assert_eq!(Symbol::new(&"z".repeat(33)), Err(SymbolError::TooLong(33)));
        for bad in [
            ' ', ',', '*', '\n', '\r', '\0', '"', '\\', '>', 'é', '\u{2028}',
        ] {
            assert_eq!(
                Symbol::new(&format!("A{bad}")),
                Err(SymbolError::Character(bad))
            );
        }
    }

    #[test]
    fn symbols_are_ordered_by_their_bytes() {
        let mut symbols = ["B", "AB", "A", "a", "A/B"].map(|s| Symbol::new(s).unwrap());
        symbols.sort();
        assert_eq!(symbols.map(|s| s.to_string()), ["A", "A/B", "AB", "B", "a"]);
    }
}
