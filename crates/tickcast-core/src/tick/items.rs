//! Splits the bytes of a publisher into the texts of single ticks, with bounded memory. The bytes
//! may arrive in chunks of any size.

use super::{MAX_ITEM_BYTES, Rejected, Tick, TickError};

/// U+FEFF in UTF-8 (byte order mark). Some editors and shells write this mark at the start of a
/// text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One item that a [`TickSplitter`] has found. Read it with [`tick`](Self::tick).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawTick<'a> {
    /// Text of one item, without white space around it, not yet checked. Contains at most 16 KiB.
    Text(&'a [u8]),
    /// An item with more than 16 KiB (`MAX_ITEM_BYTES`). Its bytes were skipped.
    TooLong,
    /// No item: the input ended inside an array, so items may be missing.
    Unfinished,
}

impl RawTick<'_> {
    /// Parses the item as a tick.
    ///
    /// # Errors
    /// If the item is too long, or is [not a tick](Tick::from_json).
    pub fn tick(self) -> Result<Tick, Rejected> {
        match self {
            Self::Text(text) => Tick::from_json(text),
            Self::TooLong => Err(Rejected {
                symbol: None,
                error: TickError::TooLong,
            }),
            Self::Unfinished => Err(Rejected {
                symbol: None,
                error: TickError::Unfinished,
            }),
        }
    }

    /// Parses the item as a tick that may be recorded from a stream, like
    /// [`Tick::from_recorded_json`](Tick::from_recorded_json).
    ///
    /// # Errors
    /// If the item is too long, or is not a recorded tick.
    pub fn recorded_tick(self) -> Result<Tick, Rejected> {
        match self {
            Self::Text(text) => Tick::from_recorded_json(text),
            Self::TooLong | Self::Unfinished => self.tick(),
        }
    }
}

/// Splits a stream of bytes into the texts of ticks: NDJSON or a JSON array. The bytes may arrive
/// in chunks of any size. The memory is bounded: at most 16 KiB are buffered. A byte order mark at
/// the start is skipped.
///
/// Empty lines have a position, but are not items.
///
/// ```
/// # use tickcast_core::{RawTick, TickSplitter};
/// let mut seen = Vec::new();
/// let mut items = TickSplitter::lines();
/// items.push_bytes(b"{\"a\":1}\n\n{\"b\"", |at, item| seen.push((at, item == RawTick::TooLong)));
/// items.push_bytes(b":2}", |at, item| seen.push((at, item == RawTick::TooLong)));
/// items.finish(|at, item| seen.push((at, item == RawTick::TooLong)));
/// assert_eq!(seen, [(0, false), (2, false)]);
/// ```
#[derive(Debug)]
pub struct TickSplitter {
    syntax: Syntax,
    /// Start of an item whose end has not arrived yet.
    buffer: Vec<u8>,
    too_long: bool,
    /// Position of the next item: the number of its line, or its index in the array, from 0.
    index: u64,
    /// Number of bytes of a byte order mark that have arrived. Equal to the length of the mark if
    /// no mark can follow any more.
    mark: usize,
}

/// Syntax that separates the items.
#[derive(Debug, Clone, Copy)]
enum Syntax {
    /// One item per line. Empty lines have a position, but are not items.
    Lines,
    /// The elements of a JSON array, or a single value.
    Json(Json),
}

/// State of the JSON scan. The scan only finds the ends of elements, so that a broken element does
/// not break its neighbors.
#[derive(Debug, Clone, Copy, Default)]
struct Json {
    /// Whether the scan is inside the outermost array.
    array: bool,
    /// Whether the outermost value has ended.
    ended: bool,
    /// Number of open braces and brackets inside the item.
    depth: u32,
    string: bool,
    escape: bool,
    /// Whether the item has begun.
    started: bool,
}

/// Effect of one byte on the split.
enum Boundary {
    /// The byte belongs to the item.
    Inside,
    /// The byte is between items.
    Outside,
    /// The item ends before the byte. The byte belongs to no item.
    Before,
    /// The item ends with the byte.
    After,
}

impl TickSplitter {
    /// Makes a splitter for one item per line.
    #[must_use]
    pub const fn lines() -> Self {
        Self {
            syntax: Syntax::Lines,
            buffer: Vec::new(),
            too_long: false,
            index: 0,
            mark: 0,
        }
    }

    /// Makes a splitter for the elements of a JSON array, or for one object.
    #[must_use]
    pub fn json() -> Self {
        Self {
            syntax: Syntax::Json(Json::default()),
            ..Self::lines()
        }
    }

    /// Reads the next bytes. Calls `each` with the position and the text of every item that ends in
    /// these bytes. The position is the number of the line or the index in the array, from 0.
    pub fn push_bytes(&mut self, bytes: &[u8], each: impl FnMut(u64, RawTick<'_>)) {
        let bytes = self.skip_mark(bytes);
        match self.syntax {
            Syntax::Lines => self.push_lines(bytes, each),
            Syntax::Json(json) => self.push_json(json, bytes, each),
        }
    }

    /// Ends the input. Calls `each` with the incomplete last item, and with [`RawTick::Unfinished`]
    /// if an array has not ended.
    pub fn finish(mut self, mut each: impl FnMut(u64, RawTick<'_>)) {
        self.keep_mark();
        self.emit(b"", &mut each);
        // An incomplete element is already an error of its own.
        if let Syntax::Json(json) = self.syntax
            && json.array
            && json.depth == 0
            && !json.string
        {
            each(self.index + u64::from(json.started), RawTick::Unfinished);
        }
    }

    /// Returns the bytes without a byte order mark, which may arrive in several chunks.
    fn skip_mark<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while let (Some(expected), Some((byte, after))) =
            (BYTE_ORDER_MARK.get(self.mark), rest.split_first())
        {
            if byte != expected {
                self.keep_mark();
                break;
            }
            self.mark += 1;
            rest = after;
        }
        rest
    }

    /// Adds an incomplete byte order mark to the first item.
    fn keep_mark(&mut self) {
        if (1..BYTE_ORDER_MARK.len()).contains(&self.mark) {
            self.keep(&BYTE_ORDER_MARK[..self.mark]);
            if let Syntax::Json(json) = &mut self.syntax {
                json.started = true;
            }
        }
        self.mark = BYTE_ORDER_MARK.len();
    }

    fn push_lines(&mut self, bytes: &[u8], mut each: impl FnMut(u64, RawTick<'_>)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.emit(&bytes[start..end], &mut each);
            self.index += 1;
            start = end + 1;
        }
        self.keep(&bytes[start..]);
    }

    fn push_json(&mut self, mut json: Json, bytes: &[u8], mut each: impl FnMut(u64, RawTick<'_>)) {
        let mut start = 0;
        for (i, byte) in bytes.iter().enumerate() {
            match json.step(*byte) {
                Boundary::Inside => continue,
                Boundary::Outside => {}
                Boundary::Before => {
                    self.emit(&bytes[start..i], &mut each);
                    self.index += 1;
                }
                Boundary::After => {
                    self.emit(&bytes[start..=i], &mut each);
                    self.index += 1;
                }
            }
            start = i + 1;
        }
        self.keep(&bytes[start..]);
        self.syntax = Syntax::Json(json);
    }

    /// Calls `each` with the item that ends with `tail`. If the whole item is in `tail`, no bytes
    /// are copied.
    fn emit(&mut self, tail: &[u8], mut each: impl FnMut(u64, RawTick<'_>)) {
        let whole = if self.buffer.is_empty() && !self.too_long && tail.len() <= MAX_ITEM_BYTES {
            tail
        } else {
            self.keep(tail);
            &self.buffer
        };
        let text = whole.trim_ascii();
        if self.too_long {
            each(self.index, RawTick::TooLong);
        } else if !text.is_empty() {
            each(self.index, RawTick::Text(text));
        }
        self.buffer.clear();
        self.too_long = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.buffer.len() + bytes.len() > MAX_ITEM_BYTES {
            self.too_long = true;
            self.buffer.clear();
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }
}

impl Json {
    fn step(&mut self, byte: u8) -> Boundary {
        if self.string {
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' => self.escape = true,
                b'"' => self.string = false,
                _ => {}
            }
            return Boundary::Inside;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if !self.started => Boundary::Outside,
            b'[' if !self.started && !self.array && !self.ended => {
                self.array = true;
                Boundary::Outside
            }
            b',' | b']' if self.array && self.depth == 0 => {
                self.array = byte == b',';
                self.ended = byte == b']';
                self.started = false;
                Boundary::Before
            }
            _ => self.inside(byte),
        }
    }

    fn inside(&mut self, byte: u8) -> Boundary {
        self.started = true;
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 && !self.array {
                    self.started = false;
                    self.ended = true;
                    return Boundary::After;
                }
            }
            _ => {}
        }
        Boundary::Inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Splits a text that arrives in chunks of `size` bytes.
    fn split(mut items: TickSplitter, text: &[u8], size: usize) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        let mut record = |index, item: RawTick<'_>| {
            let text = match item {
                RawTick::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                RawTick::TooLong => None,
                RawTick::Unfinished => Some("unfinished".into()),
            };
            found.push((index, text));
        };
        for chunk in text.chunks(size) {
            items.push_bytes(chunk, &mut record);
        }
        items.finish(record);
        found
    }

    fn texts(items: TickSplitter, text: &str) -> Vec<String> {
        split(items, text.as_bytes(), usize::MAX)
            .into_iter()
            .map(|(_, text)| text.unwrap())
            .collect()
    }

    #[test]
    fn each_line_is_an_item_and_empty_lines_are_counted() {
        let found = split(TickSplitter::lines(), b"a\r\n\n  \nb \n c", 3);
        assert_eq!(
            found,
            [
                (0, Some("a".into())),
                (3, Some("b".into())),
                (4, Some("c".into()))
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        for size in [1, 2, usize::MAX] {
            for items in [TickSplitter::lines, TickSplitter::json] {
                let found = split(items(), b"\xef\xbb\xbf {\"a\":1}", size);
                assert_eq!(found, [(0, Some("{\"a\":1}".into()))]);
                // An incomplete mark, or a mark that is not at the start, is not skipped.
                let found = split(items(), b"\xef\xbb[1]", size);
                assert_eq!(found, [(0, Some("\u{fffd}[1]".into()))]);
                assert_eq!(
                    split(items(), b"\xef\xbb", size),
                    [(0, Some("\u{fffd}".into()))]
                );
            }
            let found = split(TickSplitter::lines(), b"a\n\xef\xbb\xbfb", size);
            assert_eq!(found[1], (1, Some("\u{feff}b".into())));
        }
    }

    #[test]
    fn a_single_object_is_an_item_and_so_is_text_after_it() {
        assert_eq!(
            texts(TickSplitter::json(), r#" {"a":"}]"} "#),
            [r#"{"a":"}]"}"#]
        );
        assert_eq!(
            texts(TickSplitter::json(), r#"{"a":{}}{"b":1}"#),
            [r#"{"a":{}}"#, r#"{"b":1}"#]
        );
        assert_eq!(texts(TickSplitter::json(), "hello"), ["hello"]);
    }

    #[test]
    fn an_array_without_an_end_is_reported() {
        for (text, found) in [
            ("[", &[(0, "unfinished")][..]),
            ("[1,2", &[(0, "1"), (1, "2"), (2, "unfinished")]),
            ("[1,2, ", &[(0, "1"), (1, "2"), (2, "unfinished")]),
            ("[1,{\"a\":2", &[(0, "1"), (1, "{\"a\":2")]),
            ("[1,\"a", &[(0, "1"), (1, "\"a")]),
            ("[1]", &[(0, "1")]),
            ("[]", &[]),
            ("1", &[(0, "1")]),
        ] {
            for size in [1, usize::MAX] {
                let split = split(TickSplitter::json(), text.as_bytes(), size);
                let split: Vec<_> = split
                    .iter()
                    .map(|(index, text)| (*index, text.as_deref().unwrap()))
                    .collect();
                assert_eq!(split, found, "{text}");
            }
        }
    }

    #[test]
    fn a_broken_element_does_not_break_its_neighbors() {
        let found = texts(
            TickSplitter::json(),
            r#"[{"a":NaN}, {"b":[1,{"c":"\",]"}]} ,, 7 , {"d":1} {"e"]"#,
        );
        assert_eq!(
            found,
            [
                r#"{"a":NaN}"#,
                r#"{"b":[1,{"c":"\",]"}]}"#,
                "7",
                r#"{"d":1} {"e"]"#,
                "unfinished"
            ]
        );
    }

    #[test]
    fn an_item_that_is_too_long_is_reported_once_and_not_stored() {
        let long = "x".repeat(MAX_ITEM_BYTES + 1);
        for size in [1000, usize::MAX] {
            let found = split(
                TickSplitter::lines(),
                format!("a\n{long}\nb\n").as_bytes(),
                size,
            );
            assert_eq!(
                found,
                [(0, Some("a".into())), (1, None), (2, Some("b".into()))]
            );
            let found = split(
                TickSplitter::json(),
                format!("[1,\"{long}\",2]").as_bytes(),
                size,
            );
            assert_eq!(
                found,
                [(0, Some("1".into())), (1, None), (2, Some("2".into()))]
            );
        }
        let mut items = TickSplitter::lines();
        for _ in 0..1000 {
            items.push_bytes(long.as_bytes(), |_, _| panic!("no line has ended"));
        }
        assert!(items.buffer.capacity() <= 2 * MAX_ITEM_BYTES);
    }

    proptest! {
        #[test]
        fn the_size_of_the_chunks_makes_no_difference(text in r#"[\[\]{}",: \n\\a]{0,60}"#, size in 1usize..10) {
            for items in [TickSplitter::lines, TickSplitter::json] {
                prop_assert_eq!(split(items(), text.as_bytes(), size), split(items(), text.as_bytes(), usize::MAX));
            }
        }

        #[test]
        fn arrays_are_split_as_json_parsers_read_them(numbers: Vec<i64>, texts: Vec<String>) {
            let elements: Vec<serde_json::Value> =
                numbers.into_iter().map(Into::into).chain(texts.into_iter().map(Into::into)).collect();
            let text = serde_json::to_string_pretty(&elements).unwrap();
            let found: Vec<serde_json::Value> = split(TickSplitter::json(), text.as_bytes(), 7)
                .into_iter()
                .map(|(_, text)| serde_json::from_str(&text.unwrap()).unwrap())
                .collect();
            prop_assert_eq!(found, elements);
        }
    }
}
