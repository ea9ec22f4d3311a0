//! Cuts what a publisher sends into the texts of single ticks, whatever pieces it arrives in, in bounded memory.

use super::{MAX_ITEM_BYTES, Rejected, Tick, TickError};

/// U+FEFF in UTF-8, which some editors and shells write at the start of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What was cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawTick<'a> {
    /// The text of one tick, white space around it taken off.
    Text(&'a [u8]),
    /// More than [`MAX_ITEM_BYTES`] of it.
    TooLong,
    /// No item, but the end of the text within an array: there may have been more.
    Unfinished,
}

impl RawTick<'_> {
    /// Reads it as a tick.
    ///
    /// # Errors
    /// Where it is too long, or [no tick](Tick::from_json).
    pub fn tick(self) -> Result<Tick, Rejected> {
        match self {
            Self::Text(text) => Tick::from_json(text),
            Self::TooLong => Err(Rejected { symbol: None, error: TickError::TooLong }),
            Self::Unfinished => Err(Rejected { symbol: None, error: TickError::Unfinished }),
        }
    }

    /// The tick, from a text that may have been recorded from a stream: what is given out here is passed over.
    ///
    /// # Errors
    /// Where it is no tick all the same.
    pub fn recorded_tick(self) -> Result<Tick, Rejected> {
        match self {
            Self::Text(text) => Tick::from_recorded_json(text),
            Self::TooLong | Self::Unfinished => self.tick(),
        }
    }
}

/// Cuts a stream of bytes into ticks' texts. It skips a byte order mark at the start.
///
/// ```
/// use tickcast_core::{RawTick, TickSplitter};
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
    /// The beginning of an item whose end has not come yet.
    kept: Vec<u8>,
    too_long: bool,
    /// The position of the next item: its line, or its place in the array, from 0.
    at: u64,
    /// How many bytes of a byte order mark have arrived; its length once none can follow.
    mark: usize,
}

/// How items are told apart.
#[derive(Debug, Clone, Copy)]
enum Syntax {
    /// One a line; empty lines count but are no items.
    Lines,
    /// The elements of a JSON array, or a single value.
    Json(Json),
}

/// How far into a JSON text we are. Only as much is understood as it takes to find where elements end, so that a broken
/// one does not take those beside it along.
#[derive(Debug, Clone, Copy, Default)]
struct Json {
    /// Inside the outermost array.
    array: bool,
    /// Past the outermost value's end.
    over: bool,
    /// How many braces and brackets are open within the item.
    depth: u32,
    string: bool,
    escape: bool,
    /// Whether the item has begun.
    begun: bool,
}

/// What a byte means for the cutting.
enum Boundary {
    /// It belongs to the item.
    Inside,
    /// It lies between items.
    Outside,
    /// The item ends before it, and it belongs to none.
    Before,
    /// The item ends with it.
    After,
}

impl TickSplitter {
    /// One item a line.
    #[must_use]
    pub const fn lines() -> Self {
        Self { syntax: Syntax::Lines, kept: Vec::new(), too_long: false, at: 0, mark: 0 }
    }

    /// The elements of a JSON array, or one object.
    #[must_use]
    pub fn json() -> Self {
        Self { syntax: Syntax::Json(Json::default()), ..Self::lines() }
    }

    /// Takes the next bytes. `each` is given the items that end in them, with their positions from 0.
    pub fn push_bytes(&mut self, bytes: &[u8], each: impl FnMut(u64, RawTick<'_>)) {
        let bytes = self.skip_mark(bytes);
        match self.syntax {
            Syntax::Lines => self.push_lines(bytes, each),
            Syntax::Json(json) => self.push_json(json, bytes, each),
        }
    }

    /// There are no more bytes: what was begun is given to `each` as it is, and that an array has not ended.
    pub fn finish(mut self, mut each: impl FnMut(u64, RawTick<'_>)) {
        self.keep_mark();
        self.emit(b"", &mut each);
        // An element that is cut off says so itself.
        if let Syntax::Json(json) = self.syntax
            && json.array
            && json.depth == 0
            && !json.string
        {
            each(self.at + u64::from(json.begun), RawTick::Unfinished);
        }
    }

    /// Returns the bytes without a byte order mark, which may arrive in pieces.
    fn skip_mark<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while let (Some(expected), Some((byte, after))) = (BYTE_ORDER_MARK.get(self.mark), rest.split_first())
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

    /// Gives the start of a byte order mark that is not complete to the first item.
    fn keep_mark(&mut self) {
        if (1..BYTE_ORDER_MARK.len()).contains(&self.mark) {
            self.keep(&BYTE_ORDER_MARK[..self.mark]);
            if let Syntax::Json(json) = &mut self.syntax {
                json.begun = true;
            }
        }
        self.mark = BYTE_ORDER_MARK.len();
    }

    fn push_lines(&mut self, bytes: &[u8], mut each: impl FnMut(u64, RawTick<'_>)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.emit(&bytes[start..end], &mut each);
            self.at += 1;
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
                    self.at += 1;
                }
                Boundary::After => {
                    self.emit(&bytes[start..=i], &mut each);
                    self.at += 1;
                }
            }
            start = i + 1;
        }
        self.keep(&bytes[start..]);
        self.syntax = Syntax::Json(json);
    }

    /// Gives out the item that ends with `tail`; from within `tail` where all of it lies there.
    fn emit(&mut self, tail: &[u8], mut each: impl FnMut(u64, RawTick<'_>)) {
        let whole = if self.kept.is_empty() && !self.too_long && tail.len() <= MAX_ITEM_BYTES {
            tail
        } else {
            self.keep(tail);
            &self.kept
        };
        let text = whole.trim_ascii();
        if self.too_long {
            each(self.at, RawTick::TooLong);
        } else if !text.is_empty() {
            each(self.at, RawTick::Text(text));
        }
        self.kept.clear();
        self.too_long = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.kept.len() + bytes.len() > MAX_ITEM_BYTES {
            self.too_long = true;
            self.kept.clear();
        } else {
            self.kept.extend_from_slice(bytes);
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
            b' ' | b'\t' | b'\r' | b'\n' if !self.begun => Boundary::Outside,
            b'[' if !self.begun && !self.array && !self.over => {
                self.array = true;
                Boundary::Outside
            }
            b',' | b']' if self.array && self.depth == 0 => {
                self.array = byte == b',';
                self.over = byte == b']';
                self.begun = false;
                Boundary::Before
            }
            _ => self.inside(byte),
        }
    }

    fn inside(&mut self, byte: u8) -> Boundary {
        self.begun = true;
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 && !self.array {
                    self.begun = false;
                    self.over = true;
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

    /// The items of a text that arrives in pieces of `size` bytes.
    fn cut(mut items: TickSplitter, text: &[u8], size: usize) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        let mut note = |at, item: RawTick<'_>| {
            let text = match item {
                RawTick::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                RawTick::TooLong => None,
                RawTick::Unfinished => Some("unfinished".into()),
            };
            found.push((at, text));
        };
        for piece in text.chunks(size) {
            items.push_bytes(piece, &mut note);
        }
        items.finish(note);
        found
    }

    fn texts(items: TickSplitter, text: &str) -> Vec<String> {
        cut(items, text.as_bytes(), usize::MAX).into_iter().map(|(_, text)| text.unwrap()).collect()
    }

    #[test]
    fn lines() {
        let found = cut(TickSplitter::lines(), b"a\r\n\n  \nb \n c", 3);
        assert_eq!(found, [(0, Some("a".into())), (3, Some("b".into())), (4, Some("c".into()))]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        for size in [1, 2, usize::MAX] {
            for items in [TickSplitter::lines, TickSplitter::json] {
                let found = cut(items(), b"\xef\xbb\xbf {\"a\":1}", size);
                assert_eq!(found, [(0, Some("{\"a\":1}".into()))]);
                // Half of one, or one further on, is no mark.
                let found = cut(items(), b"\xef\xbb[1]", size);
                assert_eq!(found, [(0, Some("\u{fffd}[1]".into()))]);
                assert_eq!(cut(items(), b"\xef\xbb", size), [(0, Some("\u{fffd}".into()))]);
            }
            let found = cut(TickSplitter::lines(), b"a\n\xef\xbb\xbfb", size);
            assert_eq!(found[1], (1, Some("\u{feff}b".into())));
        }
    }

    #[test]
    fn a_single_object_and_what_should_not_follow_it() {
        assert_eq!(texts(TickSplitter::json(), r#" {"a":"}]"} "#), [r#"{"a":"}]"}"#]);
        assert_eq!(texts(TickSplitter::json(), r#"{"a":{}}{"b":1}"#), [r#"{"a":{}}"#, r#"{"b":1}"#]);
        assert_eq!(texts(TickSplitter::json(), "hello"), ["hello"]);
    }

    #[test]
    fn an_array_that_does_not_end_says_so() {
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
                let cut = cut(TickSplitter::json(), text.as_bytes(), size);
                let cut: Vec<_> = cut.iter().map(|(at, text)| (*at, text.as_deref().unwrap())).collect();
                assert_eq!(cut, found, "{text}");
            }
        }
    }

    #[test]
    fn a_broken_element_leaves_those_beside_it() {
        let found = texts(TickSplitter::json(), r#"[{"a":NaN}, {"b":[1,{"c":"\",]"}]} ,, 7 , {"d":1} {"e"]"#);
        assert_eq!(
            found,
            [r#"{"a":NaN}"#, r#"{"b":[1,{"c":"\",]"}]}"#, "7", r#"{"d":1} {"e"]"#, "unfinished"]
        );
    }

    #[test]
    fn too_long_is_told_once_and_not_kept() {
        let long = "x".repeat(MAX_ITEM_BYTES + 1);
        for size in [1000, usize::MAX] {
            let found = cut(TickSplitter::lines(), format!("a\n{long}\nb\n").as_bytes(), size);
            assert_eq!(found, [(0, Some("a".into())), (1, None), (2, Some("b".into()))]);
            let found = cut(TickSplitter::json(), format!("[1,\"{long}\",2]").as_bytes(), size);
            assert_eq!(found, [(0, Some("1".into())), (1, None), (2, Some("2".into()))]);
        }
        let mut items = TickSplitter::lines();
        for _ in 0..1000 {
            items.push_bytes(long.as_bytes(), |_, _| panic!("no line has ended"));
        }
        assert!(items.kept.capacity() <= 2 * MAX_ITEM_BYTES);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in r#"[\[\]{}",: \n\\a]{0,60}"#, size in 1usize..10) {
            for items in [TickSplitter::lines, TickSplitter::json] {
                prop_assert_eq!(cut(items(), text.as_bytes(), size), cut(items(), text.as_bytes(), usize::MAX));
            }
        }

        #[test]
        fn arrays_are_cut_as_json_reads_them(numbers: Vec<i64>, texts: Vec<String>) {
            let elements: Vec<serde_json::Value> =
                numbers.into_iter().map(Into::into).chain(texts.into_iter().map(Into::into)).collect();
            let text = serde_json::to_string_pretty(&elements).unwrap();
            let found: Vec<serde_json::Value> = cut(TickSplitter::json(), text.as_bytes(), 7)
                .into_iter()
                .map(|(_, text)| serde_json::from_str(&text.unwrap()).unwrap())
                .collect();
            prop_assert_eq!(found, elements);
        }
    }
}
