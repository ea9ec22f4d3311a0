//! The names of publishers.

use std::fmt;
use std::str::FromStr;

/// Maximum length of a name, in bytes.
const MAX_NAME_LEN: usize = 32;

/// The name of a publisher that is a source of its own: 1 to 32 of `A-Z a-z 0-9 . _ -`. Its source
/// has the name `http:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceName(Box<str>);

/// The error for a text that is not a [`SourceName`]. Returned by `parse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {MAX_NAME_LEN} of A-Z a-z 0-9 . _ -")]
#[non_exhaustive]
pub struct SourceNameError;

impl SourceName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = SourceNameError;

    fn from_str(name: &str) -> Result<Self, SourceNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(allowed) {
            true => Ok(Self(name.into())),
            false => Err(SourceNameError),
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
