//! Patterns in which `*` matches any run of characters.

use crate::{MAX_SYMBOL_LEN, Symbol, SymbolError};

/// Maximum length of a pattern in bytes: a symbol of maximum length with a star before and after
/// each character.
pub(super) const MAX_GLOB_LEN: usize = 2 * MAX_SYMBOL_LEN + 1;

/// A pattern with at least one `*`, never two in a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Glob(Box<str>);

impl Glob {
    pub(super) fn everything() -> Self {
        Self("*".into())
    }

    pub(super) fn new(text: &str) -> Result<Self, SymbolError> {
        if text.len() > MAX_GLOB_LEN {
            return Err(SymbolError::TooLong(text.len()));
        }
        if let Some(c) = text.chars().find(|c| *c != '*' && !Symbol::allows(*c)) {
            return Err(SymbolError::Character(c));
        }
        let mut pattern = text.to_owned();
        let mut last = ' ';
        pattern.retain(|c| {
            let doubled = c == '*' && last == '*';
            last = c;
            !doubled
        });
        Ok(Self(pattern.into()))
    }

    pub(super) fn is_everything(&self) -> bool {
        &*self.0 == "*"
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks whether this pattern matches every name that `other` matches. The answer may be
    /// `false` although it does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // No symbol has a star, so only a star of this pattern can match a star of the other.
        self.matches(other.0.as_bytes())
    }

    /// Checks whether no name matches this pattern and `other`. The answer may be `false` although
    /// none does.
    pub(super) fn is_disjoint_from(&self, other: &Self) -> bool {
        let differ = |(a, b): (&u8, &u8)| a != b && *a != b'*' && *b != b'*';
        let literal = |byte: &&u8| **byte != b'*';
        let (this, other) = (self.0.as_bytes(), other.0.as_bytes());
        let starts = this.iter().take_while(literal);
        let ends = this.iter().rev().take_while(literal);
        starts.zip(other.iter().take_while(literal)).any(differ)
            || ends.zip(other.iter().rev().take_while(literal)).any(differ)
    }

    /// Checks whether the pattern matches the whole of `name`. Only the last star is tried again,
    /// so the cost is at most quadratic.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut p, mut n) = (0, 0);
        // Position of the last star, and the end of the part of the name that this star matches so
        // far.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, n));
                p += 1;
            } else if pattern.get(p) == Some(&name[n]) {
                (p, n) = (p + 1, n + 1);
            } else if let Some((at, swallowed)) = star {
                star = Some((at, swallowed + 1));
                (p, n) = (at + 1, swallowed + 1);
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}
