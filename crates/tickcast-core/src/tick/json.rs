//! Parses a tick from a JSON object in one pass, without building a document.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Rejected, Tick, TickError, TickFields, Value};
use crate::excerpt::excerpt;

impl Tick {
    /// Reads one JSON object, such as `{"symbol":"AAPL","price":189.50}`. Members other than
    /// `symbol`, `price`, `change`, `prev_close` and `time` become extras.
    ///
    /// # Errors
    /// If `text` is not a JSON object, or if a member is invalid. The error names the member and
    /// the limit.
    pub fn from_json(text: &[u8]) -> Result<Self, Rejected> {
        tick(text, TickFields::default())
    }

    /// Reads an object as sent to readers, for example from a recording. The members `n`, `seq` and
    /// `change_pct` are ignored.
    ///
    /// # Errors
    /// If [`from_json`](Self::from_json) would fail for the same object without the ignored
    /// members.
    pub fn from_recorded_json(text: &[u8]) -> Result<Self, Rejected> {
        tick(text, TickFields::recorded())
    }
}

/// Reads one JSON object.
fn tick(text: &[u8], fields: TickFields) -> Result<Tick, Rejected> {
    let mut field_error = None;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let fields = Members {
        field_error: &mut field_error,
        fields,
    }
    .deserialize(&mut reader)
    .and_then(|fields| reader.end().map(|()| fields));
    match (fields, field_error) {
        // An error in a member is only reported if the whole object is valid JSON.
        (Ok(fields), Some(error)) => Err(Rejected {
            symbol: fields.symbol(),
            error,
        }),
        (Ok(fields), None) => fields.finish(),
        (Err(error), _) => Err(Rejected {
            symbol: None,
            error: TickError::NotJson(explain(&error, text)),
        }),
    }
}

/// Returns the message of serde, with the text at the error position: `NaN`, `+1`, `0x1`.
fn explain(error: &serde_json::Error, text: &[u8]) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    if error.is_eof() {
        return "the text ends too early".to_owned();
    }
    if error.column() == 0 {
        return message.to_owned();
    }
    // Columns are counted from the start of the line.
    let line = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line() - 1)
        .map(<[u8]>::len)
        .sum::<usize>();
    let text = &text[line..];
    let at = error.column().saturating_sub(1).min(text.len());
    let is_separator = |b: &u8| b.is_ascii_whitespace() || b",:[]{}\"".contains(b);
    let start = text[..at]
        .iter()
        .rposition(is_separator)
        .map_or(0, |i| i + 1);
    let end = text[at..]
        .iter()
        .position(is_separator)
        .map_or(text.len(), |i| at + i);
    match &text[start..end] {
        [] => format!("{message} at column {}", error.column()),
        word => {
            format!(
                "{message} at column {}, at `{}`",
                start + 1,
                excerpt(&String::from_utf8_lossy(word))
            )
        }
    }
}

/// Visitor that puts the members of the object into [`TickFields`].
struct Members<'f> {
    field_error: &'f mut Option<TickError>,
    fields: TickFields,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = TickFields;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<TickFields, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = TickFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<TickFields, A::Error> {
        let mut fields = self.fields;
        while let Some(Name(name)) = members.next_key()? {
            let raw: &RawValue = members.next_value()?;
            if let Err(field_error) = member(&mut fields, &name, raw.get()) {
                self.field_error.get_or_insert(field_error);
            }
        }
        Ok(fields)
    }
}

/// Sets one member from its JSON text, which is known to be valid JSON.
fn member(fields: &mut TickFields, name: &str, raw: &str) -> Result<(), TickError> {
    match raw.as_bytes() {
        // Without an escape, the text of a string is its value.
        [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
            fields.set(name, Value::Text(&raw[1..=text.len()]))
        }
        [b'"', ..] => {
            let Name(text) =
                serde_json::from_str(raw).map_err(|e| TickError::NotJson(e.to_string()))?;
            fields.set(name, Value::Text(&text))
        }
        [b'{' | b'[', ..] => fields.set(name, Value::Nested),
        b"null" => fields.set(name, Value::Null),
        b"true" => fields.set(name, Value::Bool(true)),
        b"false" => fields.set(name, Value::Bool(false)),
        _ => fields.set(name, Value::Number(raw)),
    }
}

/// A string, borrowed if it contains no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tick(text: &[u8]) -> Result<Tick, Rejected> {
        super::tick(text, TickFields::default())
    }

    #[test]
    fn a_recorded_tick_is_accepted() {
        let text =
            br#"{"symbol":"A","price":2,"change":1,"change_pct":100,"time":1782907200123,"n":7,"bid":1}"#;
        assert!(tick(text).is_err());
        let tick = super::tick(text, TickFields::recorded()).unwrap();
        assert_eq!(
            (tick.price.to_string().as_str(), tick.extras.as_json()),
            ("2", &b",\"bid\":1"[..])
        );
    }

    fn error_text(text: &str) -> String {
        tick(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_member_is_read() {
        let tick = tick(
            br#" {"symbol":"BRK.B","price":"0.10","change":-0.05,"prev_close":0.15,"time":1782907200123,
                  "bid":1.0e5,"venue":"\u0058","halted":false,"ask":null} "#,
        )
        .unwrap();
        assert_eq!(tick.symbol.as_str(), "BRK.B");
        assert_eq!(tick.price.to_string(), "0.10");
        assert_eq!(tick.change.unwrap().to_string(), "-0.05");
        assert_eq!(tick.prev_close.unwrap().to_string(), "0.15");
        assert_eq!(tick.time.unwrap().as_millis(), 1_782_907_200_123);
        assert_eq!(
            tick.extras.as_json(),
            br#","bid":1.0e5,"venue":"X","halted":false,"ask":null"#
        );
    }

    #[test]
    fn each_error_names_what_is_wrong() {
        let price = |text: &str| error_text(&format!(r#"{{"symbol":"A","price":{text}}}"#));
        assert_eq!(
            price("NaN"),
            "not JSON: expected value at column 23, at `NaN`"
        );
        assert_eq!(
            price("+1"),
            "not JSON: expected value at column 23, at `+1`"
        );
        assert_eq!(
            price("0x1"),
            "not JSON: expected `,` or `}` at column 23, at `0x1`"
        );
        assert_eq!(
            price("null"),
            "price: expected a number or a decimal as text, found null"
        );
        assert_eq!(
            price("1e400"),
            "price has more than 28 digits once written out"
        );
        assert_eq!(
            price(&"7".repeat(29)),
            "price has more than 28 digits once written out"
        );
        assert_eq!(price(r#""""#), "price is empty");
        assert_eq!(price(r#""+1""#), "price `+1` is not a decimal number");
        assert_eq!(
            price(r#""Infinity""#),
            "price `Infinity` is not a finite number"
        );
        assert_eq!(
            error_text("{\n\"symbol\":\"A\",\n\"price\":NaN}"),
            "not JSON: expected value at column 9, at `NaN`"
        );
        assert_eq!(error_text("{}"), "symbol is missing");
        assert_eq!(error_text(r#"{"symbol":"A"}"#), "price is missing");
        assert_eq!(
            error_text(r#"{"symbol":7,"price":1}"#),
            "symbol: expected text, found a number"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","price":1,"price":2}"#),
            "`price` occurs twice"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","price":1,"n":2}"#),
            "`n` is reserved"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","price":1,"time":1.5}"#),
            "time `1.5` is neither a whole number of milliseconds since 1970 nor RFC 3339 with an offset, \
             as in 2024-01-02T14:30:00Z"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","price":1,"time":-5}"#),
            "time -5 is outside 0 ..= 253402300799999 ms since 1970"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","price":1,"x":[1]}"#),
            "x: expected text, a number, true, false or null, found an object or an array"
        );
        assert_eq!(
            error_text(r#"{"symbol":"A","#),
            "not JSON: the text ends too early"
        );
        assert_eq!(
            error_text("[1]"),
            "not JSON: invalid type: sequence, expected an object"
        );
        assert!(error_text("{} x").starts_with("not JSON: trailing characters"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled_without_a_panic(bytes: Vec<u8>) {
            let _ = tick(&bytes);
        }

        #[test]
        fn near_json_is_handled_without_a_panic(text in r#"\{("(symbol|price|time|x)":(1|"a"|null|[1e+.x-]{1,4}),?){0,4}\}?"#) {
            let _ = tick(text.as_bytes());
        }
    }
}
