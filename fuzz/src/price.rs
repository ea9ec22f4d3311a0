//! Prices.

use std::cmp::Ordering;

use serde_json::value::RawValue;
use tickcast_core::{MAX_DIGITS, Price};

/// Checks prices, one per word. A text is a price exactly if it is a JSON number with at most 28
/// digits, and the price is written as those digits. Pairs of prices are compared, subtracted and
/// averaged.
pub fn price(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check_text(text);
    let words = text.split_ascii_whitespace();
    let prices: Vec<_> = words.filter_map(check_text).take(8).collect();
    for pair in prices.windows(2) {
        check_pair(pair[0], pair[1]);
    }
}

/// Checks one text. Returns its price.
fn check_text(text: &str) -> Option<Price> {
    let price = text.parse::<Price>();
    let expected = written_out(text);
    let written = price.as_ref().map(Price::to_string).ok();
    assert_eq!(written, expected, "{text:?}");
    let price = price.ok()?;
    let written = expected?;
    let again: Price = written.parse().expect("a written price is a price");
    assert!(again.is_written_like(price) && again == price);
    let back = Price::read_back(text).expect("a price is also a difference");
    assert!(back.is_written_like(price));
    if let Some((units, decimals)) = price.to_units() {
        let made = Price::from_units(units, decimals).expect("to_units has checked the decimals");
        assert!(made.is_written_like(price));
    }
    if let Ok(rounded) = Price::try_from(price.to_f64()) {
        assert_eq!(rounded.to_f64(), price.to_f64());
    }
    Some(price)
}

fn check_pair(a: Price, b: Price) {
    let difference = a.minus(b);
    let zero = a.minus(a);
    assert_eq!(difference.cmp(&zero), a.cmp(&b));
    assert_eq!(b.minus(a), zero.minus(difference));
    assert_eq!(a.minus(difference), b, "{a} - ({a} - {b})");
    let back = Price::read_back(&difference.to_string()).expect("a difference reads back");
    assert!(back.is_written_like(difference), "{difference}");
    if let Some(middle) = a.middle(b) {
        assert!(a.min(b) <= middle && middle <= a.max(b));
        assert_eq!(a.minus(middle), middle.minus(b), "{middle} of {a} and {b}");
    }
    let percent = difference.percent_of(b);
    assert_eq!(percent.is_some(), b != zero);
    if let Some(percent) = percent {
        let sign = percent.cmp(&zero);
        assert!(sign == Ordering::Equal || sign == difference.cmp(&zero));
        // A percentage of a tiny price may be longer than any difference.
        if percent.to_string().len() <= 48 {
            Price::read_back(&percent.to_string()).expect("a percentage reads back");
        }
    }
}

/// Returns the digits of a number without an exponent, or `None` if the text is not a price. This
/// is a second implementation of the rule, on texts.
fn written_out(text: &str) -> Option<String> {
    let json: &RawValue = serde_json::from_str(text).ok()?;
    let is_number =
        json.get() == text && text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if !is_number {
        return None;
    }
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let far = if exponent.starts_with('-') {
        -1_000_000
    } else {
        1_000_000
    };
    let exponent = exponent.parse().unwrap_or(far).clamp(-1_000_000, 1_000_000);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimals = i64::try_from(fraction.len()).ok()? - exponent;
    let digits = [whole, fraction].concat();
    let mut digits = digits.trim_start_matches('0').to_owned();
    if !digits.is_empty() && decimals < 0 {
        let zeros = usize::try_from(-decimals).ok()?;
        digits.push_str(&"0".repeat(zeros));
    }
    let decimals = usize::try_from(decimals.max(0)).ok()?;
    if digits.len() > MAX_DIGITS || decimals > MAX_DIGITS {
        return None;
    }
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let point = if fraction.is_empty() { "" } else { "." };
    Some([sign, whole, point, fraction].concat())
}
