//! Splits a byte stream into lines, in bounded memory.

use std::ops::ControlFlow;

use tickcast::tick::{MAX_ITEM_BYTES, RawTick};

/// A splitter for lines that end in `\n`, `\r\n` or `\r`. The splitter keeps blanks at both ends of
/// a line, because a leading tab is an empty cell.
#[derive(Default)]
pub(super) struct Lines {
    /// The start of a line whose end has not arrived yet.
    kept: Vec<u8>,
    too_long: bool,
    /// Number of complete lines.
    ended: u64,
    /// Whether the last byte was `\r`. A following `\n` belongs to the same line end.
    returned: bool,
}

impl Lines {
    /// Splits the next bytes and passes each complete line to `each`, with its number from 1. Blank
    /// lines are skipped.
    pub(super) fn feed<B>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(u64, RawTick<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            let second_half =
                bytes[end] == b'\n' && start == end && std::mem::take(&mut self.returned);
            if !second_half {
                self.end(&bytes[start..end], &mut each)?;
            }
            self.returned = bytes[end] == b'\r';
            start = end + 1;
        }
        let rest = &bytes[start..];
        self.returned &= rest.is_empty();
        self.keep(rest);
        ControlFlow::Continue(())
    }

    /// Ends the text and passes an unfinished last line to `each`.
    pub(super) fn finish<B>(
        mut self,
        each: impl FnMut(u64, RawTick<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.end(b"", each)
    }

    fn end<B>(
        &mut self,
        tail: &[u8],
        mut each: impl FnMut(u64, RawTick<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.keep(tail);
        self.ended += 1;
        let line = std::mem::take(&mut self.kept);
        if std::mem::take(&mut self.too_long) {
            return each(self.ended, RawTick::TooLong);
        }
        let flow = if line.trim_ascii().is_empty() {
            ControlFlow::Continue(())
        } else {
            each(self.ended, RawTick::Text(&line))
        };
        self.kept = line;
        self.kept.clear();
        flow
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.too_long |= self.kept.len() + bytes.len() > MAX_ITEM_BYTES;
        if self.too_long {
            self.kept.clear();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], size: usize) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        let mut note = |number, item: RawTick<'_>| {
            let text = match item {
                RawTick::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                RawTick::TooLong | RawTick::Unfinished => None,
            };
            found.push((number, text));
            ControlFlow::<()>::Continue(())
        };
        let mut lines = Lines::default();
        for piece in text.chunks(size) {
            assert!(lines.feed(piece, &mut note).is_continue());
        }
        assert!(lines.finish(note).is_continue());
        found
    }

    #[test]
    fn every_line_end_is_found_in_parts_of_any_size() {
        let long = format!("b{}", "x".repeat(MAX_ITEM_BYTES));
        let text = format!("\ta\t\r\n\r\n{long}\rc\n\nd\r\r\ne");
        let expected = [(1, "\ta\t"), (3, ""), (4, "c"), (6, "d"), (8, "e")];
        let expected =
            expected.map(|(n, text)| (n, Some(text.to_owned()).filter(|text| !text.is_empty())));
        for size in [1, 2, 3, 7, usize::MAX] {
            assert_eq!(cut(text.as_bytes(), size), expected, "{size}");
        }
    }
}
