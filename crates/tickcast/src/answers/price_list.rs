//! The JSON of an answer with many prices, written piece by piece.

use bytes::Bytes;
use tickcast_core::{Cursor, Frame, Symbol};

use super::pieces::PIECE_BYTES;

/// Room for the tick that fills a piece, in bytes. Nearly all ticks are smaller.
const LAST_TICK_BYTES: usize = 1 << 10;

/// The text of an answer in progress.
pub(crate) struct PriceList {
    /// The number of ticks that were examined.
    examined: usize,
    /// The text between the next tick and the text before it.
    separator: &'static [u8],
    out: Vec<u8>,
}

impl PriceList {
    /// Begins the text of an answer as of a cursor.
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self {
            examined: 0,
            separator: b"",
            out: format!("{{\"cursor\":\"{cursor}\",\"prices\":[").into_bytes(),
        }
    }

    /// Returns the number of ticks that were examined.
    pub(crate) const fn examined(&self) -> usize {
        self.examined
    }

    /// Checks whether the text has enough for a piece, or is complete.
    pub(crate) fn has_piece(&self, ticks: &[(Symbol, Frame)]) -> bool {
        self.out.len() >= PIECE_BYTES || self.examined == ticks.len()
    }

    /// Writes the wanted ticks until there is a piece, or until `max` more ticks were examined.
    pub(crate) fn write(
        &mut self,
        ticks: &[(Symbol, Frame)],
        max: usize,
        is_wanted: impl Fn(&Symbol) -> bool,
    ) {
        self.out
            .reserve((PIECE_BYTES + LAST_TICK_BYTES).saturating_sub(self.out.len()));
        for (name, frame) in ticks[self.examined..].iter().take(max) {
            if self.out.len() >= PIECE_BYTES {
                return;
            }
            self.examined += 1;
            if is_wanted(name) {
                self.out.extend_from_slice(self.separator);
                self.out.extend_from_slice(frame.json());
                self.separator = b",";
            }
        }
    }

    /// Returns the piece that was written, and whether it is the last one.
    pub(crate) fn take_piece(&mut self, ticks: &[(Symbol, Frame)]) -> (Bytes, bool) {
        let is_last = self.examined == ticks.len();
        if is_last {
            self.out.extend_from_slice(b"]}");
        }
        let mut piece = std::mem::take(&mut self.out);
        piece.shrink_to_fit();
        (piece.into(), is_last)
    }
}
