//! Parts of exchanges' messages: decimals by their text, times.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use tickcast::{ChangeBasis, Extras, Price, Value};

use crate::{Garbled, When};

/// Before 2010 there were no such exchanges.
const EARLIEST_MS: i64 = 1_262_304_000_000;

/// The largest number of which every reader of JSON knows each digit.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// A decimal by its text, whether it stood there as a number or as a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'a>(pub(crate) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Decimal<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if plain {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format_args!("{} is no decimal", excerpt(raw))))
        }
    }
}

impl Decimal<'_> {
    /// Its value; a zero is none, since exchanges write one where nobody quotes.
    pub(crate) fn quoted(self, field: &str) -> Result<Option<Price>, Garbled> {
        let price: Price = self.0.parse().map_err(|error| Garbled(format!("{field} {error}")))?;
        match price.cmp(&zero()) {
            std::cmp::Ordering::Less => Err(Garbled(format!("{field} {price} is below zero"))),
            std::cmp::Ordering::Equal => Ok(None),
            std::cmp::Ordering::Greater => Ok(Some(price)),
        }
    }

    /// Its value.
    pub(crate) fn value(self, field: &str) -> Result<Price, Garbled> {
        self.0.parse().map_err(|error| Garbled(format!("{field} {error}")))
    }
}

/// The value of something that is there, and not zero.
pub(crate) fn quoted(decimal: Option<Decimal<'_>>, field: &str) -> Result<Option<Price>, Garbled> {
    decimal.map_or(Ok(None), |decimal| decimal.quoted(field))
}

fn zero() -> Price {
    Price::from_units(0, 0).unwrap_or_else(|| unreachable!("zero has no decimals"))
}

/// Extras from what is there of `decimals`, after what the change is measured from.
pub(crate) fn extras(
    basis: Option<ChangeBasis>,
    decimals: &[(&str, Option<Decimal<'_>>)],
) -> Result<Extras, Garbled> {
    let mut extras = Extras::new();
    let refuse = |error: tickcast::TickError| Garbled(error.to_string());
    if let Some(basis) = basis {
        extras.push_basis(basis).map_err(refuse)?;
    }
    for (name, decimal) in decimals {
        let Some(decimal) = decimal else { continue };
        // A bid of zero is none; a volume of zero is one.
        let quote = name.starts_with("bid") || name.starts_with("ask");
        if let Some(value) = if quote { decimal.quoted(name)? } else { Some(decimal.value(name)?) } {
            extras.push(name, Value::Number(&value.to_string())).map_err(refuse)?;
        }
    }
    Ok(extras)
}

/// Who took: `buy` or `sell`, as an exchange writes it in whatever case.
pub(crate) fn push_side(extras: &mut Extras, side: Option<&str>) {
    let known =
        ["buy", "sell"].into_iter().find(|known| side.is_some_and(|side| side.eq_ignore_ascii_case(known)));
    if let Some(side) = known {
        // It is there once, and short.
        let _ = extras.push("side", Value::Text(side));
    }
}

/// The number of a trade.
pub(crate) fn push_trade_id(extras: &mut Extras, id: u64) -> Result<(), Garbled> {
    if id > LARGEST_EXACT {
        return Err(Garbled(format!("trade {id}: no trade has such a number")));
    }
    extras.push("trade_id", Value::Number(&id.to_string())).map_err(|error| Garbled(error.to_string()))
}

/// A time in ms.
pub(crate) const fn when_ms(ms: Option<i64>) -> When {
    match ms {
        Some(ms) => When::At(ms),
        None => When::Unsaid,
    }
}

/// A time by RFC 3339, and the same in ns as far as it can be told.
pub(crate) fn when_written(text: Option<&str>) -> (When, u64) {
    let Some(text) = text else { return (When::Unsaid, 0) };
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => (When::At(time.as_millisecond()), u64::try_from(time.as_nanosecond()).unwrap_or(0)),
        Err(_) => (When::Unreadable, 0),
    }
}

/// Whether a time, in ms, may be the truth when the clock here says `now`: not before there were exchanges, at most a
/// minute ahead.
pub(crate) const fn is_sound(ms: i64, now: i64) -> bool {
    const AHEAD_MS: i64 = 60_000;
    ms >= EARLIEST_MS && ms <= now + AHEAD_MS
}

/// The start of a text, safe to show.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(json: &str) -> Result<Decimal<'_>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn decimals_keep_their_text() {
        for (json, text) in [("\"0.10\"", "0.10"), ("5.00e-6", "0.00000500"), ("64250.10", "64250.10")] {
            assert_eq!(decimal(json).unwrap().quoted("x").unwrap().unwrap().to_string(), text);
        }
        assert_eq!(decimal("0.000").unwrap().quoted("x"), Ok(None));
        assert_eq!(decimal("\"-1\"").unwrap().quoted("bid").unwrap_err().to_string(), "bid -1 is below zero");
        for json in ["\"NaN\"", "{}", "[1]", "true", "\"1 \"", "\"\\u0031\""] {
            assert!(decimal(json).is_err(), "{json}");
        }
        assert!(decimal("\"\"").unwrap().value("x").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(
            when_written(Some("2026-07-01T12:00:00.223456Z")),
            (When::At(1_782_907_200_223), 1_782_907_200_223_456_000)
        );
        assert_eq!(when_written(Some("yesterday")).0, When::Unreadable);
        let (When::At(year_one), _) = when_written(Some("0001-01-01T00:00:00.000000Z")) else { panic!() };
        assert!(!is_sound(year_one, 1_782_907_200_000) && !is_sound(0, 1_782_907_200_000));
        assert!(is_sound(1_782_907_260_000, 1_782_907_200_000));
        assert!(!is_sound(1_782_997_200_000, 1_782_907_200_000));
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let extras = extras(
            Some(ChangeBasis::Rolling24h),
            &[("bid", Some(Decimal("0.0"))), ("ask", None), ("volume", Some(Decimal("0.0")))],
        );
        assert_eq!(extras.unwrap().as_json(), br#","change_basis":"24h","volume":0.0"#);
    }
}
