//! Many symbols held against one filter.

use memchr::memmem::Finder;

use super::Filter;
use super::glob::Glob;
use crate::Symbol;

impl Filter {
    /// Makes a matcher: quicker for each of many symbols, once it is made.
    #[must_use]
    pub fn matcher(&self) -> Matcher<'_> {
        Matcher { filter: self, globs: self.globs.iter().map(Parts::of).collect() }
    }
}

/// A filter, ready to be held against many symbols: what each pattern begins and ends with is looked at first, and the rest is
/// searched for, so that one comparison costs no more than the symbol is long.
#[derive(Debug)]
pub struct Matcher<'f> {
    filter: &'f Filter,
    globs: Vec<Parts<'f>>,
}

/// A pattern between its stars.
#[derive(Debug)]
struct Parts<'f> {
    prefix: &'f [u8],
    middle: Vec<Finder<'f>>,
    suffix: &'f [u8],
    /// A shorter symbol cannot match.
    least: usize,
}

impl<'f> Matcher<'f> {
    /// Whether the filter wants a symbol.
    #[must_use]
    pub fn matches(&self, symbol: &Symbol) -> bool {
        self.pattern_of(symbol).is_some() || self.filter.names().binary_search(symbol).is_ok()
    }

    /// The first pattern that asks for a symbol.
    pub(super) fn pattern_of(&self, symbol: &Symbol) -> Option<&'f Glob> {
        let at = self.globs.iter().position(|glob| glob.matches(symbol.as_bytes()))?;
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
            least: text.len() - text.matches('*').count(),
            middle: middle.into_iter().map(Finder::new).collect(),
        }
    }

    /// Each part as early as it can be: what follows it has the most room then.
    fn matches(&self, name: &[u8]) -> bool {
        // By the byte: most symbols differ in the first or the last, which is quicker than a call to compare them all.
        let begins = || self.prefix.iter().zip(name).all(|(wanted, byte)| wanted == byte);
        let ends = || self.suffix.iter().rev().zip(name.iter().rev()).all(|(wanted, byte)| wanted == byte);
        if name.len() < self.least || !begins() || !ends() {
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

    /// The definition, word for word.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|i| naive(rest, &name[i..])),
            [c, rest @ ..] => name.first() == Some(c) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[AB*]{0,6}[*][AB*]{0,6}", name in "[AB]{1,10}") {
            let glob = Glob::new(&pattern).unwrap();
            let right = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(glob.matches(name.as_bytes()), right);
            prop_assert_eq!(Parts::of(&glob).matches(name.as_bytes()), right);
        }
    }
}
