//! Parser from text to [`Price`]. The grammar is exactly that of JSON numbers.

use std::str::FromStr;

use ethnum::U256;

use super::{MAX_DIGITS, Price, PriceError};
use crate::excerpt::excerpt;

impl Price {
    /// Reads text that [`write`](Self::write) has written. A difference may have twice as many
    /// digits as an incoming price: at most 57 significant digits, of which at most 28 come after
    /// the decimal point.
    ///
    /// # Errors
    /// If `text` is not a decimal number, or is longer than any difference can be.
    pub fn read_back(text: &str) -> Result<Self, PriceError> {
        decimal(text, 2 * MAX_DIGITS + 1)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        decimal(text, MAX_DIGITS)
    }
}

/// Maximum number of digits before the point. With 28 decimals, two such numbers can still be
/// compared and subtracted within 256 bits (77 digits).
const MAX_WHOLE_DIGITS: i64 = 48;

/// Reads `-`, digits, decimal point, digits, exponent, exactly as JSON writes numbers. Accepts at
/// most `max_digits` significant digits.
fn decimal(text: &str, max_digits: usize) -> Result<Price, PriceError> {
    if text.is_empty() {
        return Err(PriceError::Empty);
    }
    let parts = Parts::split(text.as_bytes()).ok_or_else(|| refusal(text))?;
    // Nearly all prices fit in the short form (128 bits).
    let (mut short, mut long) = (0u128, None);
    let mut significant = 0;
    for digit in parts.whole.iter().chain(parts.fraction) {
        significant += usize::from(significant > 0 || *digit != b'0');
        if significant > max_digits {
            return Err(PriceError::TooManyDigits);
        }
        let digit = u128::from(digit - b'0');
        if significant <= MAX_DIGITS {
            short = short * 10 + digit;
        } else {
            long = Some(long.unwrap_or_else(|| U256::new(short)) * 10 + U256::new(digit));
        }
    }
    let digits = long.unwrap_or_else(|| U256::new(short));
    // Final number of decimals, with the exponent applied. The length of a text always fits in an
    // i64.
    let scale = parts.fraction.len() as i64 - parts.exponent;
    let spare = if digits == 0 { 0 } else { (-scale).max(0) };
    if significant as i64 + spare > max_digits as i64 {
        return Err(PriceError::TooManyDigits);
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale > MAX_DIGITS {
        return Err(PriceError::TooManyDecimals);
    }
    if significant as i64 + spare - scale as i64 > MAX_WHOLE_DIGITS {
        return Err(PriceError::TooManyDigits);
    }
    let digits = match spare {
        0 => digits,
        spare => digits * U256::new(10).pow(spare as u32),
    };
    Ok(Price {
        digits,
        scale: scale as u8,
        negative: parts.negative,
    })
}

/// Parts of the text of a number.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn split(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, text) = digits(text)?;
        if whole.len() > 1 && whole[0] == b'0' {
            return None;
        }
        let (fraction, text) = match text {
            [b'.', rest @ ..] => digits(rest)?,
            rest => (&[][..], rest),
        };
        let exponent = match text {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }
}

/// Splits `text` into at least one leading digit and the remaining text.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Reads an exponent. A very large exponent is limited to one million, which is out of range for
/// every price except zero.
fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    let (digits, []) = digits(text)? else {
        return None;
    };
    Some(
        sign * digits.iter().fold(0, |n: i64, digit| {
            (n * 10 + i64::from(digit - b'0')).min(1_000_000)
        }),
    )
}

/// Returns the error for a text that is not a number.
fn refusal(text: &str) -> PriceError {
    let bare = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    match bare.as_str() {
        "nan" | "inf" | "infinity" => PriceError::NotFinite(excerpt(text)),
        _ => PriceError::NotDecimal(excerpt(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_numbers_are_written_out_in_full() {
        for (text, out) in [
            ("0.10", "0.10"),
            ("-37.63", "-37.63"),
            ("0", "0"),
            ("-0.00", "-0.00"),
            ("1e-7", "0.0000001"),
            ("1.50E1", "15.0"),
            ("15e+2", "1500"),
            ("0e9999999999999999999", "0"),
            (
                "123456789012345678.123456789",
                "123456789012345678.123456789",
            ),
            ("1782907200123", "1782907200123"),
            ("1e27", "1000000000000000000000000000"),
            ("1e-28", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(
                decimal(text, MAX_DIGITS).unwrap().to_string(),
                out,
                "{text}"
            );
        }
    }

    #[test]
    fn each_error_names_what_is_wrong() {
        let error_text = |text: &str| decimal(text, MAX_DIGITS).unwrap_err().to_string();
        assert_eq!(error_text(""), "is empty");
        assert_eq!(error_text("+1"), "`+1` is not a decimal number");
        assert_eq!(error_text("0x1"), "`0x1` is not a decimal number");
        assert_eq!(error_text("NaN"), "`NaN` is not a finite number");
        assert_eq!(
            error_text("-Infinity"),
            "`-Infinity` is not a finite number"
        );
        for text in ["1e400", "1e28", "1e999999999999999999999", &"1".repeat(29)] {
            assert_eq!(
                error_text(text),
                "has more than 28 digits once written out",
                "{text}"
            );
        }
        assert_eq!(
            error_text("1e-29"),
            "has more than 28 digits after the point once written out"
        );
        for text in [
            " 1", "1 ", "1.", ".5", "-", "--1", "01", "1,5", "1e", "1e+", "1e5x", "1_000", "١",
        ] {
            assert!(
                matches!(decimal(text, MAX_DIGITS), Err(PriceError::NotDecimal(_))),
                "{text:?}"
            );
        }
    }

    /// A client and a tape on disk read such texts. Every comparison and every difference of prices
    /// with 28 decimals must be possible.
    #[test]
    fn what_reads_back_can_be_compared() {
        let Ok(wide) = Price::read_back(&"9".repeat(57)) else {
            return;
        };
        let fine: Price = "0.0000000000000000000000000001".parse().unwrap();
        assert!(wide > fine && wide.minus(fine) < wide);
    }

    proptest! {
        #[test]
        fn any_text_is_handled_and_a_parsed_text_is_a_json_number(text in "[-+0-9.eE]{0,40}|.*") {
            let json = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            match decimal(&text, MAX_DIGITS) {
                Ok(price) => {
                    let written: f64 = price.to_string().parse().unwrap();
                    prop_assert_eq!(written, text.parse::<f64>().unwrap());
                    prop_assert!(json.is_ok());
                }
                Err(PriceError::TooManyDigits | PriceError::TooManyDecimals) => prop_assert!(json.is_ok()),
                Err(_) => {}
            }
        }
    }
}
