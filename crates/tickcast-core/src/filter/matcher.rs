//! Fast matching of many symbols with one filter.

use memchr::memmem::Finder;

use super::Filter;
use super::glob::Glob;
use crate::Symbol;

impl Filter {
    /// Returns a matcher, which is faster than [`matches`](Self::matches) for many symbols.
    #[must_use]
    pub fn matcher(&self) -> Matcher<'_> {
        Matcher {
            filter: self,
            globs: self.globs.iter().map(Parts::of).collect(),
            within: self
                .within
                .as_deref()
                .map(|within| Box::new(within.matcher())),
        }
    }
}

/// A filter, prepared to be compared with many symbols. Returned by [`Filter::matcher`].
///
/// The start and the end of each pattern are compared first. The other parts are then searched for,
/// so that one comparison takes time linear in the length of the symbol.
#[derive(Debug)]
pub struct Matcher<'f> {
    filter: &'f Filter,
    globs: Vec<Parts<'f>>,
    /// The matcher of the filter that must match as well.
    within: Option<Box<Matcher<'f>>>,
}

/// The parts of a pattern between its stars.
#[derive(Debug)]
struct Parts<'f> {
    prefix: &'f [u8],
    middle: Vec<Finder<'f>>,
    suffix: &'f [u8],
    /// Minimum length of a matching symbol.
    min_len: usize,
}

impl<'f> Matcher<'f> {
    /// Checks whether the filter selects `symbol`.
    #[must_use]
    pub fn matches(&self, symbol: &Symbol) -> bool {
        let matches =
            self.pattern_of(symbol).is_some() || self.filter.names().binary_search(symbol).is_ok();
        matches
            && self
                .within
                .as_deref()
                .is_none_or(|within| within.matches(symbol))
    }

    /// Returns the first pattern that matches `symbol`.
    #[inline]
    pub(super) fn pattern_of(&self, symbol: &Symbol) -> Option<&'f Glob> {
        let at = self
            .globs
            .iter()
            .position(|glob| glob.matches(symbol.as_bytes()))?;
        self.filter.globs.get(at)
    }
}

impl<'f> Parts<'f> {
    fn of(glob: &'f Glob) -> Self {
        let text = glob.as_str();
        let (prefix, rest) = text.split_once('*').unwrap_or((text, ""));
        let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle: Vec<_> = middle.split('*').filter(|part| !part.is_empty()).collect();
        Self {
            prefix: prefix.as_bytes(),
            suffix: suffix.as_bytes(),
            min_len: text.len() - text.matches('*').count(),
            middle: middle.into_iter().map(Finder::new).collect(),
        }
    }

    /// Checks whether the parts match `name`. Each part is matched as early as possible, which
    /// leaves the most room for the following parts.
    fn matches(&self, name: &[u8]) -> bool {
        // Compares byte by byte. Most symbols differ in the first or the last byte, so this is
        // faster than a call that compares all bytes.
        let begins = || {
            self.prefix
                .iter()
                .zip(name)
                .all(|(wanted, byte)| wanted == byte)
        };
        let ends = || {
            self.suffix
                .iter()
                .rev()
                .zip(name.iter().rev())
                .all(|(wanted, byte)| wanted == byte)
        };
        if name.len() < self.min_len || !begins() || !ends() {
            return false;
        }
        let mut left = &name[self.prefix.len()..name.len() - self.suffix.len()];
        self.middle.iter().all(|part| {
            let found = part.find(left);
            left = found.map_or(left, |at| &left[at + part.needle().len()..]);
            found.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Matches by the definition, without optimizations.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|i| naive(rest, &name[i..])),
            [c, rest @ ..] => name.first() == Some(c) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[AB*]{0,6}[*][AB*]{0,6}", name in "[AB]{1,10}") {
            let glob = Glob::new(&pattern).unwrap();
            let expected = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(glob.matches(name.as_bytes()), expected);
            prop_assert_eq!(Parts::of(&glob).matches(name.as_bytes()), expected);
        }
    }
}
