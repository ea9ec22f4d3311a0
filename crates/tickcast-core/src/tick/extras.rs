//! Extras: members of a tick that tickcast does not know. Readers receive extras as they were
//! written.

use super::{MAX_EXTRAS, MAX_EXTRAS_BYTES, TickError, Value};
use crate::excerpt::excerpt;

/// Names that tickcast sets itself: `n`, `seq`, `change_pct` and `change_basis`. [`Extras::push`]
/// refuses these names.
pub const RESERVED: [&str; 4] = ["n", "seq", "change_pct", "change_basis"];

/// The reserved name that a source can set, with [`Extras::push_basis`].
pub(super) const BASIS: &str = "change_basis";

/// What a source's own [`change`](crate::Tick::change) is measured from, if that is neither the
/// previous close nor the first price of the day.
///
/// tickcast does not compute such a change: the source does. Set the change of the tick, and name
/// its basis with [`Extras::push_basis`]. Readers then receive the extra `"change_basis":"24h"`. A
/// tick without a basis has no such member. JSON that a publisher sends cannot contain
/// `change_basis`; only code can set the basis.
///
/// ```
/// # use tickcast_core::{ChangeBasis, Symbol, Tick};
/// let mut tick = Tick::new(Symbol::new("BTC-USD").unwrap(), "61250.5".parse().unwrap());
/// tick.change = Some("-310.25".parse().unwrap());
/// tick.extras.push_basis(ChangeBasis::Rolling24h).unwrap();
/// assert_eq!(tick.extras.as_json(), b",\"change_basis\":\"24h\"");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeBasis {
    /// The price 24 hours before the tick, as the source measures it.
    Rolling24h,
}

impl ChangeBasis {
    /// Returns the value of the member `change_basis` that readers receive: `24h`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rolling24h => "24h",
        }
    }
}

/// Maximum length of the name of an extra.
const MAX_NAME: usize = 32;

/// The extras of a tick: members that tickcast does not know, and passes on as they were written.
/// Stored as the tail of a JSON object: `,"bid":1.5,"halted":true`. At most 16 extras and 1,024
/// bytes.
///
/// Field of [`Tick`](crate::Tick::extras). Default: no extras.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    json: Vec<u8>,
    count: usize,
}

impl Extras {
    /// Makes an empty list of extras.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            json: Vec::new(),
            count: 0,
        }
    }

    /// Adds an extra.
    ///
    /// # Errors
    /// If the name is not `[A-Za-z][A-Za-z0-9_]{0,31}`, is [reserved](RESERVED), is a member of the
    /// tick itself, or is already present. If there would be more than 16 extras or more than 1,024
    /// bytes (`MAX_EXTRAS`, `MAX_EXTRAS_BYTES`). If a number is not valid, or if the value is an
    /// object or an array.
    pub fn push(&mut self, name: &str, value: Value<'_>) -> Result<(), TickError> {
        let fields = ["symbol", "price", "change", "prev_close", "time"];
        if RESERVED.contains(&name) || fields.contains(&name) {
            return Err(TickError::Reserved(name.to_owned()));
        }
        self.add(name, value)
    }

    /// Adds the basis of the tick's own change, as the extra `change_basis`. Counts as one of the
    /// 16 extras.
    ///
    /// # Errors
    /// If there is already a basis, or no room for it.
    pub fn push_basis(&mut self, basis: ChangeBasis) -> Result<(), TickError> {
        self.add(BASIS, Value::Text(basis.as_str()))
    }

    fn add(&mut self, name: &str, value: Value<'_>) -> Result<(), TickError> {
        self.check(name)?;
        let start = self.json.len();
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
        match value {
            Value::Number(text) => self.json.extend_from_slice(text.as_bytes()),
            Value::Text(text) => write_text(text, &mut self.json),
            Value::Bool(true) => self.json.extend_from_slice(b"true"),
            Value::Bool(false) => self.json.extend_from_slice(b"false"),
            Value::Null => self.json.extend_from_slice(b"null"),
            Value::Nested => {}
        }
        let error = match value {
            Value::Nested => Some(TickError::nested(name)),
            Value::Number(text) if !is_number(text) => {
                Some(TickError::ExtraNumber(name.to_owned()))
            }
            _ if self.json.len() > MAX_EXTRAS_BYTES => Some(TickError::ExtrasTooLong),
            _ => None,
        };
        if let Some(error) = error {
            self.json.truncate(start);
            return Err(error);
        }
        self.count += 1;
        Ok(())
    }

    /// Reads extras that [`as_json`](Self::as_json) has written.
    pub(crate) fn read_back(json: &[u8]) -> Self {
        // Each extra begins with a comma. Commas inside strings do not count.
        let (mut count, mut within, mut escaped) = (0, false, false);
        for byte in json {
            match byte {
                _ if std::mem::take(&mut escaped) => {}
                b'\\' => escaped = within,
                b'"' => within = !within,
                b',' if !within => count += 1,
                _ => {}
            }
        }
        Self {
            json: json.to_vec(),
            count,
        }
    }

    /// Returns the extras as the tail of a JSON object: `,"name":value` for each extra.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.json
    }

    fn check(&self, name: &str) -> Result<(), TickError> {
        if !is_name(name) {
            return Err(TickError::ExtraName(excerpt(name)));
        }
        if self.count == MAX_EXTRAS {
            return Err(TickError::TooManyExtras);
        }
        if self.contains(name) {
            return Err(TickError::DuplicateField(name.to_owned()));
        }
        Ok(())
    }

    /// Checks whether an extra has this name. Inside a string a quote is always escaped, so
    /// `,"name":` only matches a real member.
    fn contains(&self, name: &str) -> bool {
        let mut key = Vec::with_capacity(name.len() + 4);
        key.extend_from_slice(b",\"");
        key.extend_from_slice(name.as_bytes());
        key.extend_from_slice(b"\":");
        memchr::memmem::find(&self.json, &key).is_some()
    }
}

/// Checks whether the name of an extra is valid.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Writes a JSON string in ASCII, so that no reader treats a U+2028 as the end of a line.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

/// Checks whether `text` is a JSON number, of any length.
fn is_number(text: &str) -> bool {
    let starts = text
        .bytes()
        .next()
        .is_some_and(|b| b == b'-' || b.is_ascii_digit());
    let ends = text.bytes().next_back().is_some_and(|b| b.is_ascii_digit());
    starts && ends && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(extras: &Extras) -> String {
        String::from_utf8(extras.as_json().to_vec()).unwrap()
    }

    #[test]
    fn extras_keep_their_order_and_spelling() {
        let mut extras = Extras::new();
        extras.push("bid", Value::Number("1.50")).unwrap();
        extras.push("bidSize", Value::Number("2")).unwrap();
        extras
            .push("venue", Value::Text("Zürich \"x\"\n\u{2028}😀"))
            .unwrap();
        extras.push("halted", Value::Bool(false)).unwrap();
        extras.push("ask", Value::Null).unwrap();
        assert_eq!(
            written(&extras),
            r#","bid":1.50,"bidSize":2,"venue":"Z\u00fcrich \"x\"\u000a\u2028\ud83d\ude00","halted":false,"ask":null"#
        );
    }

    #[test]
    fn a_rejected_extra_does_not_change_the_other_extras() {
        let mut extras = Extras::new();
        extras.push("bid", Value::Bool(true)).unwrap();
        for name in ["", "größe", "1st", "_x", "a-b", "a b", &"a".repeat(33)] {
            assert!(
                matches!(extras.push(name, Value::Null), Err(TickError::ExtraName(_))),
                "{name:?}"
            );
        }
        for name in RESERVED.into_iter().chain(["symbol", "price", "time"]) {
            assert_eq!(
                extras.push(name, Value::Null),
                Err(TickError::Reserved(name.to_owned()))
            );
        }
        assert_eq!(
            extras.push("bid", Value::Null),
            Err(TickError::DuplicateField("bid".to_owned()))
        );
        assert_eq!(
            extras.push("x", Value::Number("1 ")),
            Err(TickError::ExtraNumber("x".to_owned()))
        );
        assert_eq!(
            extras.push("x", Value::Text(&"y".repeat(1100))),
            Err(TickError::ExtrasTooLong)
        );
        for i in 1..MAX_EXTRAS {
            extras.push(&format!("x{i}"), Value::Null).unwrap();
        }
        assert_eq!(
            extras.push("late", Value::Null),
            Err(TickError::TooManyExtras)
        );
        assert!(written(&extras).starts_with(r#","bid":true,"x1":null"#));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text: String) {
            let mut extras = Extras::new();
            if extras.push("x", Value::Text(&text)).is_ok() {
                let object = format!("{{\"a\":0{}}}", written(&extras));
                prop_assert!(object.is_ascii() && !object.contains('\n'));
                let read: serde_json::Value = serde_json::from_str(&object).unwrap();
                prop_assert_eq!(read["x"].as_str(), Some(text.as_str()));
                extras.push("y", Value::Null).unwrap();
                prop_assert_eq!(Extras::read_back(extras.as_json()), extras);
            }
        }
    }
}
