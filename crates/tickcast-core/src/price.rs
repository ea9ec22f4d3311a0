//! Exact decimal amounts: a price is written exactly as it was read, digit for digit.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Rem, Sub};

use ethnum::{I256, U256};

/// 28: the maximum number of significant digits of an incoming price, and the maximum number of
/// digits after its decimal point.
///
/// 28 is enough for every venue seen so far (a token amount in wei has 27 digits). The common
/// 96-bit decimal types of readers also hold 28 digits.
pub const MAX_DIGITS: usize = 28;

/// Number of digits after the decimal point of a percentage.
const PERCENT_SCALE: u8 = 4;

/// An exact decimal: a price, a change, a previous close. A price is never NaN, never infinite and
/// never rounded.
///
/// Make one with `parse`, [`from_units`](Self::from_units) or `Price::try_from(f64)`. An incoming
/// price has at most 28 significant digits and at most 28 digits after the decimal point
/// (`MAX_DIGITS`). It is written exactly as it was read: `0.10` stays `0.10`, `-0` stays `-0`. Only
/// an exponent is written out as digits. A [difference](Price::minus) of two prices may be longer.
///
/// ```
/// # use tickcast_core::Price;
/// let price = |text: &str| text.parse::<Price>().unwrap();
/// assert_eq!(price("0.10").to_string(), "0.10");
/// assert_eq!(price("1e-7").to_string(), "0.0000001");
/// assert_eq!(price("0.3").minus(price("0.1")).to_string(), "0.2");
/// ```
#[derive(Clone, Copy)]
pub struct Price {
    /// All digits as one number, without the decimal point. At most 57 digits, which fit in 192
    /// bits.
    digits: U256,
    /// Number of digits after the decimal point.
    scale: u8,
    negative: bool,
}

/// Reason why a text is not a [`Price`]. The message lacks its subject, which is the name of the
/// member: `price is empty`.
///
/// Returned by `"…".parse::<Price>()`, by `Price::try_from(f64)` and by [`Price::read_back`]. Also
/// contained in `TickError::Price`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is not a number in the form of JSON: an optional `-`, digits without a leading
    /// zero, optionally a point and digits, optionally an exponent. Contains the start of the text,
    /// at most 24 characters.
    ///
    /// Valid are `189.50`, `-0.5` and `1e-7`. Not valid are `+1`, `.5`, `1.`, `007`, `1,000` and a
    /// blank before or after the number.
    #[error("`{0}` is not a decimal number")]
    NotDecimal(String),
    /// The value is NaN or an infinity. The text was `NaN`, `inf` or `infinity`, in upper or lower
    /// case, or came from such an `f64`. Contains the text.
    #[error("`{0}` is not a finite number")]
    NotFinite(String),
    /// The number has more than 28 significant digits (`MAX_DIGITS`), after its exponent is written
    /// out: `1e28` has 29.
    #[error("has more than {MAX_DIGITS} digits once written out")]
    TooManyDigits,
    /// The number has more than 28 digits after the decimal point (`MAX_DIGITS`), after its
    /// exponent is written out: `1e-29` has 29.
    #[error("has more than {MAX_DIGITS} digits after the point once written out")]
    TooManyDecimals,
}

impl Price {
    /// Returns `units` × 10^-`decimals`. Returns `None` for more than 28 decimals (`MAX_DIGITS`).
    #[must_use]
    pub fn from_units(units: i64, decimals: u8) -> Option<Self> {
        let fits = usize::from(decimals) <= MAX_DIGITS;
        fits.then(|| Self {
            digits: units.unsigned_abs().into(),
            scale: decimals,
            negative: units < 0,
        })
    }

    /// Returns the arguments from which [`from_units`](Self::from_units) makes this price. Returns
    /// `None` if no such arguments exist: the price is too long, or is a negative zero.
    #[must_use]
    pub fn to_units(self) -> Option<(i64, u8)> {
        let units = i64::try_from(u128::try_from(self.digits).ok()?).ok()?;
        let fits = usize::from(self.scale) <= MAX_DIGITS && !(self.negative && units == 0);
        fits.then_some((if self.negative { -units } else { units }, self.scale))
    }

    /// Returns the exact difference, with as many decimals as the price that has more decimals.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let difference = self.units_at(scale) - other.units_at(scale);
        Self {
            digits: difference.unsigned_abs(),
            scale,
            negative: difference.is_negative(),
        }
    }

    /// Returns the price exactly halfway between the two. The result has at most one decimal more
    /// than the price with more decimals. Returns `None` if the result has more than 28 digits or
    /// decimals.
    #[must_use]
    pub fn middle(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let sum = self.units_at(scale) + other.units_at(scale);
        let (units, scale) = if sum % 2 == 0 {
            (sum / 2, scale)
        } else {
            (sum * 5, scale + 1)
        };
        let middle = Self {
            digits: units.unsigned_abs(),
            scale,
            negative: units.is_negative(),
        };
        let fits = usize::from(scale) <= MAX_DIGITS && middle.digits < power(MAX_DIGITS as u8);
        fits.then_some(middle)
    }

    /// Returns this price as a percentage of the absolute value of `base`: 1.5 means 1.5 %. Returns
    /// `None` if `base` is zero. The result is rounded half away from zero to four decimals,
    /// without trailing zeros. The result has the sign of `self`, so that a fall stays negative
    /// even if `base` is negative.
    #[must_use]
    pub fn percent_of(self, base: Self) -> Option<Self> {
        let scale = self.scale.max(base.scale);
        let base = base.units_at(scale).unsigned_abs();
        if base == 0 {
            return None;
        }
        // 100 percent with four decimals: a factor of 10^6.
        let part = self.units_at(scale).unsigned_abs() * power(6);
        let (digits, scale) = match (u64::try_from(part), u64::try_from(base)) {
            // This is nearly always so, and far faster.
            (Ok(part), Ok(base)) => {
                let (digits, scale) = without_zeros(rounded(part, base), PERCENT_SCALE);
                (digits.into(), scale)
            }
            _ => without_zeros(rounded(part, base), PERCENT_SCALE),
        };
        Some(Self {
            digits,
            scale,
            negative: self.negative && digits != 0,
        })
    }

    /// Checks whether both prices are written with the same digits. `0.1` equals `0.10` but is
    /// written differently.
    #[must_use]
    pub fn is_written_like(self, other: Self) -> bool {
        (self.digits, self.scale, self.negative) == (other.digits, other.scale, other.negative)
    }

    /// Returns the nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or_default()
    }

    /// Appends the text of the price, which is also a JSON number.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let mut short = itoa::Buffer::new();
        let long;
        let digits = match u128::try_from(self.digits) {
            Ok(digits) => short.format(digits),
            Err(_) => {
                long = self.digits.to_string();
                &long
            }
        }
        .as_bytes();
        let scale = usize::from(self.scale);
        if scale == 0 {
            out.extend_from_slice(digits);
            return;
        }
        let whole = digits.len().saturating_sub(scale);
        if whole == 0 {
            out.push(b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
        }
        out.push(b'.');
        out.extend(std::iter::repeat_n(
            b'0',
            scale.saturating_sub(digits.len()),
        ));
        out.extend_from_slice(&digits[whole..]);
    }

    /// Returns the value in units of 10^-`scale`. `scale` must not be smaller than the scale of the
    /// price.
    fn units_at(self, scale: u8) -> I256 {
        let units = self.digits * power(scale - self.scale);
        if self.negative {
            -units.as_i256()
        } else {
            units.as_i256()
        }
    }
}

/// What prices need of an unsigned number.
trait Unsigned: Copy + PartialOrd + From<u8>
where
    Self: Add<Output = Self> + Sub<Output = Self> + Div<Output = Self> + Rem<Output = Self>,
{
}
impl Unsigned for u64 {}
impl Unsigned for U256 {}

/// Returns `part / base`, rounded half up.
fn rounded<N: Unsigned>(part: N, base: N) -> N {
    let (digits, rest) = (part / base, part % base);
    digits + N::from(u8::from(rest >= base - rest))
}

/// Removes zeros behind the point from a number with `scale` decimals.
fn without_zeros<N: Unsigned>(mut digits: N, mut scale: u8) -> (N, u8) {
    while scale > 0 && digits % N::from(10) == N::from(0) {
        digits = digits / N::from(10);
        scale -= 1;
    }
    (digits, scale)
}

/// Returns ten to the power of `exponent`.
fn power(exponent: u8) -> U256 {
    match 10u64.checked_pow(u32::from(exponent)) {
        Some(small) => small.into(),
        None => U256::new(10).pow(u32::from(exponent)),
    }
}

impl TryFrom<f64> for Price {
    type Error = PriceError;

    /// Returns the shortest decimal that reads back as the same `f64`.
    ///
    /// # Errors
    /// If `value` is NaN or infinite, or has more than 28 digits or decimals once written out.
    fn try_from(value: f64) -> Result<Self, PriceError> {
        value.to_string().parse()
    }
}

/// Prices are equal if their values are equal: `0.1` equals `0.10`.
impl PartialEq for Price {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Price {}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Price {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.units_at(scale).cmp(&other.units_at(scale))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(40);
        self.write(&mut out);
        f.pad(std::str::from_utf8(&out).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    /// Generates any valid incoming amount, as text without an exponent.
    fn written() -> impl Strategy<Value = String> {
        ("-?", "0|[1-9][0-9]{0,27}", 0..=28usize, "[0-9]{28}").prop_map(
            |(sign, whole, decimals, fraction)| {
                let max_decimals = if whole == "0" { 28 } else { 28 - whole.len() };
                match decimals.min(max_decimals) {
                    0 => format!("{sign}{whole}"),
                    n => format!("{sign}{whole}.{}", &fraction[..n]),
                }
            },
        )
    }

    #[test]
    fn the_middle_of_two_prices_is_exact() {
        let middle = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| text.parse::<Price>().unwrap());
            a.middle(b).map(|price| price.to_string())
        };
        assert_eq!(middle("1.00", "1.02").unwrap(), "1.01");
        assert_eq!(middle("64639.99", "64640").unwrap(), "64639.995");
        assert_eq!(middle("-1", "2").unwrap(), "0.5");
        assert_eq!(middle("0.0000000000000000000000000001", "0"), None);
    }

    proptest! {
        #[test]
        fn a_price_is_written_as_it_was_read(text in written()) {
            prop_assert_eq!(price(&text).to_string(), text);
        }

        #[test]
        fn a_difference_is_exact(a in written(), b in written()) {
            let (a, b) = (price(&a), price(&b));
            let difference = a.minus(b);
            prop_assert_eq!(difference.minus(a).minus(b.minus(b).minus(b)), b.minus(b));
            prop_assert_eq!(difference.cmp(&b.minus(b)), a.cmp(&b));
            prop_assert!(Price::read_back(&difference.to_string()).unwrap().is_written_like(difference));
        }

        #[test]
        fn small_differences_agree_with_integers(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, scale in 0..=6u8) {
            let amount = |units| Price::from_units(units, scale).unwrap();
            prop_assert_eq!(amount(a).minus(amount(b)).to_string(), amount(a - b).to_string());
        }

        #[test]
        fn short_and_long_numbers_are_divided_alike(part in 0u64.., base in 1u64..) {
            let (short, long) = (rounded(part, base), rounded(U256::from(part), U256::from(base)));
            prop_assert_eq!(U256::from(short), long);
            let (digits, scale) = without_zeros(short, PERCENT_SCALE);
            prop_assert_eq!((U256::from(digits), scale), without_zeros(long, PERCENT_SCALE));
        }

        #[test]
        fn percentages_agree_with_floats(a in -1_000_000i64..1_000_000, b in 1i64..1_000_000) {
            let percent = Price::from_units(a, 2).unwrap().percent_of(Price::from_units(b, 2).unwrap()).unwrap();
            prop_assert!((percent.to_f64() - a as f64 / b as f64 * 100.0).abs() <= 0.000_051);
        }

        #[test]
        fn an_accepted_float_reads_back_the_same(value in -1e12f64..1e12) {
            // A float may need more digits than a price can have. Such a float is rejected, never
            // rounded.
            if let Ok(price) = Price::try_from(value) {
                prop_assert_eq!(price.to_f64(), value);
            }
        }
    }

    #[test]
    fn differences_keep_the_larger_number_of_decimals() {
        assert_eq!(price("0.3").minus(price("0.1")).to_string(), "0.2");
        assert_eq!(price("189.50").minus(price("189.25")).to_string(), "0.25");
        assert_eq!(price("-37.63").minus(price("17.7")).to_string(), "-55.33");
        assert_eq!(price("5").minus(price("5.000")).to_string(), "0.000");
        let widest = price(&"9".repeat(28)).minus(price(&format!("-0.{}1", "0".repeat(27))));
        assert_eq!(
            widest.to_string(),
            format!("{}.{}1", "9".repeat(28), "0".repeat(27))
        );
    }

    #[test]
    fn percentages_are_rounded_and_trimmed() {
        let percent =
            |part: &str, base: &str| price(part).percent_of(price(base)).map(|p| p.to_string());
        assert_eq!(percent("0.25", "189.25").unwrap(), "0.1321");
        assert_eq!(percent("1", "8").unwrap(), "12.5");
        assert_eq!(percent("-1", "3").unwrap(), "-33.3333");
        assert_eq!(percent("0.00005", "100").unwrap(), "0.0001");
        assert_eq!(percent("-0.00000005", "100").unwrap(), "0");
        assert_eq!(percent("2", "-4").unwrap(), "50");
        assert_eq!(percent("1", "0.00"), None);
    }

    #[test]
    fn prices_are_compared_by_value_not_by_text() {
        assert_eq!(price("0.1"), price("0.10"));
        assert_eq!(price("-0"), price("0.00"));
        assert!(price("-1") < price("-0.99"));
    }
}
