//! Hashes of tokens, so that a configuration need not contain the tokens.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The beginning of a hash in its text form.
pub(crate) const PREFIX: &str = "sha256:";

/// Number of bytes of a hash.
const BYTES: usize = 32;

/// The SHA-256 hash of a token. The text form is `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecretHash([u8; BYTES]);

/// The error for a text that is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `{PREFIX}` and {} hex digits, as printed by `tickcast token hash`", 2 * BYTES)]
pub(crate) struct SecretHashError;

impl SecretHash {
    /// Returns the hash of a token.
    pub(crate) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Returns the hash of a token that is written as it is, or as its hash.
    pub(crate) fn of_setting(token: &str) -> Result<Self, SecretHashError> {
        match token.starts_with(PREFIX) {
            true => token.parse(),
            false => Ok(Self::of(token.as_bytes())),
        }
    }

    /// Compares two hashes in a time that does not depend on them.
    pub(crate) fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for SecretHash {
    type Err = SecretHashError;

    fn from_str(text: &str) -> Result<Self, SecretHashError> {
        let digits = text.strip_prefix(PREFIX).ok_or(SecretHashError)?;
        let digits = digits.as_bytes();
        if digits.len() != 2 * BYTES {
            return Err(SecretHashError);
        }
        let mut hash = [0; BYTES];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(SecretHashError);
            let value = digit(pair[0])? << 4 | digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| SecretHashError)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_its_hash_are_the_same_setting() {
        let text = SecretHash::of(b"abc").to_string();
        // The first example of FIPS 180-2.
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text, known);
        let hash = SecretHash::of_setting(known).unwrap();
        assert!(hash == SecretHash::of_setting("abc").unwrap());
        assert!(bool::from(hash.ct_eq(&SecretHash::of(b"abc"))));
        assert!(!bool::from(hash.ct_eq(&SecretHash::of(b"abcd"))));
    }

    #[test]
    fn a_hash_that_is_cut_or_misspelt_is_an_error_and_no_token() {
        for bad in [
            "sha256:",
            "sha256:1234",
            &format!("sha256:{}", "g".repeat(64)),
        ] {
            assert!(SecretHash::of_setting(bad).is_err(), "{bad}");
        }
    }
}
