//! Decimal numbers as integers. Prices never become floats, because a test compares the exact text.

use std::fmt;

/// Number of decimals of every quantity, on all four exchanges.
pub(crate) const QUANTITY_DECIMALS: u32 = 8;

/// A decimal number: `units` of 10^-`decimals`, printed with all trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed {
    units: i128,
    decimals: u32,
}

/// Creates a decimal number from its units.
pub(crate) fn fixed(units: impl Into<i128>, decimals: u32) -> Fixed {
    Fixed {
        units: units.into(),
        decimals,
    }
}

/// Creates a quantity from its units.
pub(crate) fn quantity(units: i64) -> Fixed {
    fixed(units, QUANTITY_DECIMALS)
}

/// Returns the quotient with `decimals` decimals, rounded half away from zero. Zero divided by zero
/// is zero: the statistics of a market without trades show zero.
pub(crate) fn ratio(numerator: i128, denominator: i128, decimals: u32) -> Fixed {
    if denominator == 0 {
        return fixed(0, decimals);
    }
    let scaled = numerator * 10_i128.pow(decimals);
    let half = denominator.abs() / 2 * scaled.signum();
    fixed((scaled + half) / denominator, decimals)
}

impl Fixed {
    /// Returns the number without trailing zeros. Coinbase Exchange writes some of its numbers so.
    pub(crate) fn trimmed(self) -> String {
        let text = self.to_string();
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let digits = self.units.unsigned_abs();
        if self.decimals == 0 {
            return write!(f, "{sign}{digits}");
        }
        let one = 10_u128.pow(self.decimals);
        let width = self.decimals as usize;
        write!(f, "{sign}{}.{:0width$}", digits / one, digits % one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_printed() {
        assert_eq!(fixed(6_464_000_i64, 2).to_string(), "64640.00");
        assert_eq!(fixed(-5_i64, 3).to_string(), "-0.005");
        assert_eq!(fixed(7_i64, 0).to_string(), "7");
        assert_eq!(fixed(6_499_000_i64, 2).trimmed(), "64990");
    }

    #[test]
    fn a_ratio_is_rounded_half_away_from_zero() {
        assert_eq!(ratio(64_000, 6_400_000, 3).to_string(), "0.010");
        assert_eq!(ratio(1, 2, 0).to_string(), "1");
        assert_eq!(ratio(-1, 2, 0).to_string(), "-1");
        assert_eq!(ratio(0, 0, 2).to_string(), "0.00");
    }
}
