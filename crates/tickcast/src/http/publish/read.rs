//! The length and checksum of the part of a body that was read, to compare two bodies.

use serde::{Deserialize, Serialize};

/// The number of bytes of a decoded body, and their checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) length: u64,
    checksum: u32,
}

impl Read {
    /// Adds the next bytes. Returns `false` if these bytes show that the body does not begin with
    /// the body in `before`.
    pub(super) fn add(&mut self, bytes: &[u8], before: Option<Self>) -> bool {
        let alike = before.is_none_or(|before| {
            let left = before
                .length
                .checked_sub(self.length)
                .and_then(|left| usize::try_from(left).ok());
            let rest = left.and_then(|left| bytes.get(..left));
            rest.is_none_or(|rest| crc32c::crc32c_append(self.checksum, rest) == before.checksum)
        });
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        self.length += bytes.len() as u64;
        alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str], before: Option<Read>) -> (Read, bool) {
        let mut read = Read::default();
        let alike = pieces
            .iter()
            .all(|piece| read.add(piece.as_bytes(), before));
        (read, alike)
    }

    #[test]
    fn bodies_with_the_same_beginning_match_in_pieces_of_any_size() {
        let (before, _) = read(&["abc", "de"], None);
        assert_eq!(before, read(&["", "a", "bcde"], None).0);
        for (pieces, alike) in [
            (&["abcde"][..], true),
            (&["a", "b", "c", "d", "e", "f"], true),
            (&["abcd", "efgh", "i"], true),
            (&["abcdf"], false),
            (&["xbcd", "efgh"], false),
            (&["abcd"], true),
        ] {
            assert_eq!(read(pieces, Some(before)).1, alike, "{pieces:?}");
        }
    }
}
