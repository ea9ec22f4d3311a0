//! Parts of the exchanges' messages: lists, exact decimals, times, and the extra fields of a price.

use std::fmt::Display;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tickcast::tick::{ChangeBasis, Value};
use tickcast::{Price, Tick};

use crate::{DecodeError, EventTime, FeedEvent};

/// The start of 2010, in ms. No such exchange existed before.
const EARLIEST_MS: i64 = 1_262_304_000_000;

/// The largest integer that every JSON reader represents exactly.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// The smallest time in microseconds. The same number of milliseconds would be in the year 5138.
const MICROSECONDS: i64 = 100_000_000_000_000;

/// Maximum number of invalid entries that are reported per list. More invalid entries have the same
/// cause, and a frame can hold millions.
const MAX_NOTED_ENTRIES: usize = 100;

/// The raw JSON text of a message field. The text is parsed on use, so an invalid field does not
/// affect other fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(<&RawValue>::deserialize(deserializer)?.get()))
    }
}

impl<'a> Field<'a> {
    /// Returns the text of the field, whether the field is a number or a string.
    fn bare(self) -> &'a str {
        self.0
            .strip_prefix('"')
            .and_then(|raw| raw.strip_suffix('"'))
            .unwrap_or(self.0)
    }

    /// Parses an exact decimal.
    pub(crate) fn value(self, field: &str) -> Result<Price, DecodeError> {
        let text = self.bare();
        let plain = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if !plain {
            return Err(DecodeError(format!(
                "{field}: {} is not a decimal number",
                excerpt(self.0)
            )));
        }
        text.parse()
            .map_err(|error| DecodeError(format!("{field} {error}")))
    }

    /// Parses a decimal that is a price. Returns `None` for zero, because exchanges send zero when
    /// no participant quotes.
    pub(crate) fn quoted(self, field: &str) -> Result<Option<Price>, DecodeError> {
        let price = self.value(field)?;
        match price.cmp(&zero()) {
            std::cmp::Ordering::Less => Err(DecodeError(format!("{field} {price} is below zero"))),
            std::cmp::Ordering::Equal => Ok(None),
            std::cmp::Ordering::Greater => Ok(Some(price)),
        }
    }

    /// Parses an unsigned integer.
    pub(crate) fn number(self, field: &str) -> Result<u64, DecodeError> {
        self.0.parse().map_err(|_| {
            DecodeError(format!(
                "{field}: {} is not an unsigned integer",
                excerpt(self.0)
            ))
        })
    }

    /// Parses a boolean.
    pub(crate) fn flag(self, field: &str) -> Result<bool, DecodeError> {
        self.0.parse().map_err(|_| {
            DecodeError(format!(
                "{field}: {} is neither true nor false",
                excerpt(self.0)
            ))
        })
    }

    /// Returns `true` for `buy` and `false` for `sell`, in any case.
    pub(crate) fn bought(self, field: &str) -> Result<bool, DecodeError> {
        let says = |side| self.bare().eq_ignore_ascii_case(side);
        if says("buy") || says("sell") {
            return Ok(says("buy"));
        }
        Err(DecodeError(format!(
            "{field}: {} is neither buy nor sell",
            excerpt(self.0)
        )))
    }
}

fn zero() -> Price {
    Price::from_units(0, 0).unwrap_or_else(|| unreachable!("zero has no decimals"))
}

/// Decodes each entry of a list separately. An invalid entry is reported and does not affect the
/// other entries.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    list: Option<&'a RawValue>,
    heard: &mut Vec<FeedEvent>,
) -> Vec<T> {
    let Some(list) = list.map(RawValue::get) else {
        return Vec::new();
    };
    let mut left = MAX_NOTED_ENTRIES;
    let mut note = |error: serde_json::Error, text: &str| {
        if left > 0 {
            left -= 1;
            let DecodeError(why) = error.into();
            heard.push(FeedEvent::Undecodable(DecodeError(format!(
                "{why}: {}",
                excerpt(text)
            ))));
        }
    };
    let entries: Result<Vec<&RawValue>, _> = serde_json::from_str(list);
    let entries = entries
        .map_err(|error| note(error, list))
        .unwrap_or_default();
    let read = entries.into_iter().map(RawValue::get).filter_map(|entry| {
        let read = serde_json::from_str(entry);
        read.map_err(|error| note(error, entry)).ok()
    });
    read.collect()
}

/// The extra fields of a tick. An invalid field is left out and reported, and the price stays
/// valid.
pub(crate) struct Extras<'t, 'h> {
    tick: &'t mut Tick,
    heard: &'h mut Vec<FeedEvent>,
}

impl<'t, 'h> Extras<'t, 'h> {
    pub(crate) const fn new(tick: &'t mut Tick, heard: &'h mut Vec<FeedEvent>) -> Self {
        Self { tick, heard }
    }

    /// Returns the value, or reports an invalid field and returns `None`.
    pub(crate) fn keep_or_note<T, E: Display>(&mut self, read: Result<Option<T>, E>) -> Option<T> {
        read.unwrap_or_else(|error| {
            let why = format!("{}: invalid field left out: {error}", self.tick.symbol);
            self.heard.push(FeedEvent::Undecodable(DecodeError(why)));
            None
        })
    }

    /// Sets the change over 24 hours, if present.
    pub(crate) fn change(&mut self, change: Result<Option<Price>, DecodeError>) {
        self.tick.change = self.keep_or_note(change);
        if self.tick.change.is_some() {
            let pushed = self.tick.extras.push_basis(ChangeBasis::Rolling24h);
            self.keep_or_note(pushed.map(Some));
        }
    }

    /// Adds the decimals that are present. A bid or ask of zero is absent; a volume of zero is a
    /// value.
    pub(crate) fn decimals(&mut self, decimals: &[(&str, Option<Field<'_>>)]) {
        for (name, field) in decimals {
            let Some(field) = field else { continue };
            let quote = name.starts_with("bid") || name.starts_with("ask");
            let value = if quote {
                field.quoted(name)
            } else {
                field.value(name).map(Some)
            };
            if let Some(value) = self.keep_or_note(value) {
                self.push(name, Value::Number(&value.to_string()));
            }
        }
    }

    /// Adds the taker's side.
    pub(crate) fn side(&mut self, bought: Result<Option<bool>, DecodeError>) {
        if let Some(bought) = self.keep_or_note(bought) {
            self.push("side", Value::Text(if bought { "buy" } else { "sell" }));
        }
    }

    /// Adds the trade number.
    pub(crate) fn trade_id(&mut self, id: u64) {
        self.push("trade_id", Value::Number(&id.to_string()));
    }

    fn push(&mut self, name: &str, value: Value<'_>) {
        let pushed = self.tick.extras.push(name, value);
        self.keep_or_note(pushed.map(Some));
    }
}

/// Parses the required sequence number of a message.
pub(crate) fn place_number(field: Option<Field<'_>>, name: &str) -> Result<u64, DecodeError> {
    field
        .ok_or_else(|| DecodeError(format!("{name} is missing")))?
        .number(name)
}

/// Parses a trade number: a sequence number that every JSON reader represents exactly.
pub(crate) fn trade_number(field: Option<Field<'_>>, name: &str) -> Result<u64, DecodeError> {
    let id = place_number(field, name)?;
    if id > LARGEST_EXACT {
        return Err(DecodeError(format!(
            "trade {id}: the trade number is too large (expected less than 2^53)"
        )));
    }
    Ok(id)
}

/// Parses a time in ms or microseconds. Also returns the raw number in its own unit.
pub(crate) fn when_counted(field: Option<Field<'_>>) -> (EventTime, u64) {
    let Some(field) = field else {
        return (EventTime::Missing, 0);
    };
    let Ok(count) = field.bare().parse::<i64>() else {
        return (EventTime::Unreadable, 0);
    };
    let ms = if count >= MICROSECONDS {
        count / 1000
    } else {
        count
    };
    (EventTime::At(ms), u64::try_from(count).unwrap_or(0))
}

/// Parses an RFC 3339 time. Also returns the time in ns, as far as representable.
pub(crate) fn when_written(field: Option<Field<'_>>) -> (EventTime, u64) {
    let Some(field) = field else {
        return (EventTime::Missing, 0);
    };
    match field.bare().parse::<jiff::Timestamp>() {
        Ok(time) => (
            EventTime::At(time.as_millisecond()),
            u64::try_from(time.as_nanosecond()).unwrap_or(0),
        ),
        Err(_) => (EventTime::Unreadable, 0),
    }
}

/// Returns whether a time in ms is plausible when the local clock is `now`. The time must be after
/// the first exchanges and at most one minute ahead.
pub(crate) const fn is_sound(ms: i64, now: i64) -> bool {
    const AHEAD_MS: i64 = 60_000;
    ms >= EARLIEST_MS && ms <= now + AHEAD_MS
}

/// Returns the start of a text, escaped for display.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 80;
    let mut shown: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(json: &str) -> Field<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn decimals_keep_their_text() {
        for (json, text) in [
            ("\"0.10\"", "0.10"),
            ("5.00e-6", "0.00000500"),
            ("64250.10", "64250.10"),
        ] {
            assert_eq!(field(json).quoted("x").unwrap().unwrap().to_string(), text);
        }
        assert_eq!(field("0.000").quoted("x"), Ok(None));
        assert_eq!(
            field("\"-1\"").quoted("bid").unwrap_err().to_string(),
            "bid -1 is below zero"
        );
        for json in [
            "\"NaN\"",
            "{}",
            "[1]",
            "true",
            "null",
            "\"\"",
            "\"1 \"",
            "\"\\u0031\"",
        ] {
            assert!(field(json).value("x").is_err(), "{json}");
        }
    }

    #[test]
    fn times_are_parsed_in_each_format() {
        assert_eq!(
            when_written(Some(Field("\"2026-07-01T12:00:00.223456Z\""))),
            (EventTime::At(1_782_907_200_223), 1_782_907_200_223_456_000)
        );
        assert_eq!(
            when_written(Some(Field("\"yesterday\""))).0,
            EventTime::Unreadable
        );
        let (EventTime::At(year_one), _) =
            when_written(Some(Field("\"0001-01-01T00:00:00.000000Z\"")))
        else {
            panic!()
        };
        assert!(!is_sound(year_one, 1_782_907_200_000) && !is_sound(0, 1_782_907_200_000));
        assert!(is_sound(1_782_907_260_000, 1_782_907_200_000));
        assert!(!is_sound(1_782_997_200_000, 1_782_907_200_000));
        let counted = |json| when_counted(Some(field(json))).0;
        assert_eq!(
            ["1782907200223", "1782907200223456", "-5", "{}", "1.5"].map(counted),
            [
                EventTime::At(1_782_907_200_223),
                EventTime::At(1_782_907_200_223),
                EventTime::At(-5),
                EventTime::Unreadable,
                EventTime::Unreadable
            ]
        );
        assert_eq!(when_counted(None).0, EventTime::Missing);
    }

    #[test]
    fn an_invalid_extra_field_is_left_out_and_reported() {
        let mut tick = Tick::new(tickcast::Symbol::new("A").unwrap(), "1".parse().unwrap());
        let mut heard = Vec::new();
        let mut beside = Extras::new(&mut tick, &mut heard);
        beside.change(field("\"NaN\"").value("p").map(Some));
        beside.decimals(&[
            ("bid", Some(field("0.0"))),
            ("ask", None),
            ("ask_size", Some(field("\"\""))),
            ("high", Some(field("{\"a\":1}"))),
            ("volume", Some(field("0.0"))),
        ]);
        beside.side(field("7").bought("side").map(Some));
        beside.side(field("\"SELL\"").bought("side").map(Some));
        assert_eq!(tick.extras.as_json(), br#","volume":0.0,"side":"sell""#);
        let notes: Vec<_> = heard.iter().map(|heard| format!("{heard:?}")).collect();
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(
            notes[1].contains("A: invalid field left out: ask_size is empty"),
            "{notes:?}"
        );
    }

    #[test]
    fn an_invalid_entry_does_not_discard_the_others() {
        let read = |list: &str| {
            let (raw, mut heard) = (serde_json::from_str(list).unwrap(), Vec::new());
            let entries = each::<u8>(Some(raw), &mut heard);
            (entries, heard.len())
        };
        assert_eq!(read("[1,null,{},3]"), (vec![1, 3], 2));
        assert_eq!(
            read(&format!("[{}7]", "-1,".repeat(100_000))),
            (vec![7], MAX_NOTED_ENTRIES)
        );
        assert_eq!(read("{}"), (Vec::new(), 1));
        assert_eq!(each::<u8>(None, &mut Vec::new()), Vec::<u8>::new());
    }
}
