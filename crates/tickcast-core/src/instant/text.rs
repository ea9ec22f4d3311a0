//! Times as text: milliseconds since 1970, or RFC 3339 with an offset.

use std::str::FromStr;

use super::{Time, TimeError};
use crate::excerpt::excerpt;

/// Minimum number of milliseconds except 0: March 1973. Smaller numbers are almost always seconds;
/// this number as seconds is in the year 5138.
const MIN_TIME_MS: i64 = 100_000_000_000;

/// First number that is out of range for milliseconds: the year 5138. Numbers from here on are
/// almost always microseconds or nanoseconds; this number as microseconds is in March 1973.
const FIRST_MS_OUT_OF_RANGE: i64 = 100_000_000_000_000;

/// Reason why a text is not a [`Time`]. Returned by `"…".parse::<Time>()`. Also contained in
/// [`TickError::Time`](crate::TickError::Time).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeTextError {
    /// The number looks like seconds: it is from 1 to 99,999,999,999, and as milliseconds before
    /// March 1973. Contains the number.
    #[error("time {0} looks like seconds; milliseconds since 1970 are expected")]
    Seconds(i64),
    /// The number looks like microseconds or nanoseconds: it is at least 100,000,000,000,000, and
    /// as milliseconds in or after the year 5138. Contains the number.
    #[error("time {0} looks like micro- or nanoseconds; milliseconds since 1970 are expected")]
    Finer(i64),
    /// The time is before 1970 or after the year 9999. Contains the time.
    #[error(transparent)]
    Outside(#[from] TimeError),
    /// The text is neither a whole number nor RFC 3339 with an offset. Contains the start of the
    /// text, at most 24 characters.
    #[error(
        "time `{0}` is neither a whole number of milliseconds since 1970 nor RFC 3339 with an offset, \
         as in 2024-01-02T14:30:00Z"
    )]
    Unreadable(String),
}

/// Reads `1704205800000`, `2024-01-02T14:30:00Z` or `2024-01-02 09:30:00.123-05:00`. Fractions of a
/// millisecond are cut off. Numbers that are almost certainly in another unit are rejected.
impl FromStr for Time {
    type Err = TimeTextError;

    fn from_str(text: &str) -> Result<Self, TimeTextError> {
        match text.parse() {
            Ok(ms @ 1..MIN_TIME_MS) => Err(TimeTextError::Seconds(ms)),
            Ok(ms @ FIRST_MS_OUT_OF_RANGE..) => Err(TimeTextError::Finer(ms)),
            Ok(ms) => Ok(Self::from_millis(ms)?),
            Err(_) => {
                let time: jiff::Timestamp = text
                    .parse()
                    .map_err(|_| TimeTextError::Unreadable(excerpt(text)))?;
                Ok(Self::from_millis(time.as_millisecond())?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Time>().unwrap().as_millis()
    }

    fn error_text(text: &str) -> String {
        text.parse::<Time>().unwrap_err().to_string()
    }

    #[test]
    fn milliseconds_and_rfc_3339_are_accepted() {
        assert_eq!(ms("1704205800000"), 1_704_205_800_000);
        assert_eq!(ms("0"), 0);
        for text in [
            "2024-01-02T14:30:00Z",
            "2024-01-02 09:30:00-05:00",
            "2024-01-02t15:30:00.000999+01:00",
        ] {
            assert_eq!(ms(text), 1_704_205_800_000, "{text}");
        }
        assert_eq!(ms("1970-01-01T00:00:01Z"), 1000, "a date needs no unit");
    }

    #[test]
    fn numbers_in_other_units_are_rejected_by_name() {
        assert_eq!(
            error_text("1704067200"),
            "time 1704067200 looks like seconds; milliseconds since 1970 are expected"
        );
        assert!(error_text("99999999999").contains("seconds") && ms("100000000000") > 0);
        for text in ["100000000000000", "1735689600000000", "1735689600000000000"] {
            assert!(
                error_text(text).contains("looks like micro- or nanoseconds"),
                "{text}"
            );
        }
        assert_eq!(
            error_text("-5"),
            "time -5 is outside 0 ..= 253402300799999 ms since 1970"
        );
        assert!(error_text("1969-12-31T23:59:59Z").contains("is outside 0"));
    }

    #[test]
    fn a_text_without_an_exact_time_is_rejected() {
        for text in [
            "",
            "now",
            "2024-01-02",
            "2024-01-02T14:30:00",
            "1704067200.5",
            "1704067200000.0",
            "+",
        ] {
            assert!(
                error_text(text).contains("nor RFC 3339 with an offset"),
                "{text}"
            );
        }
    }
}
