//! Times as the exchanges write them, and as they write them on a bad day.

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::BadTime;

/// How far ahead [`BadTime::Future`] lies.
const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

/// Microseconds, as Coinbase Exchange and Kraken have them.
pub(crate) const MICROS: usize = 6;

/// Nanoseconds, as Coinbase Advanced Trade has them.
pub(crate) const NANOS: usize = 9;

/// The time in RFC 3339 with so many digits of a second, or nothing where it is to be missing.
pub(crate) fn stamp(time: i64, bad: Option<BadTime>, digits: usize) -> Option<String> {
    let zeros = "0".repeat(digits);
    match bad {
        None => Some(sound(time, digits)),
        Some(BadTime::YearOne) => Some(format!("0001-01-01T00:00:00.{zeros}Z")),
        Some(BadTime::Epoch) => Some(sound(0, digits)),
        Some(BadTime::Future) => Some(sound(time + YEAR, digits)),
        Some(BadTime::Missing) => None,
    }
}

/// The time in RFC 3339, as it is.
pub(crate) fn sound(time: i64, digits: usize) -> String {
    let second = written(time, "%Y-%m-%dT%H:%M:%S");
    let zeros = digits - 3;
    format!("{second}.{:03}{:0zeros$}Z", time.rem_euclid(1000), 0)
}

/// The way Go prints a time, which is what the heartbeats of Coinbase Advanced Trade carry.
pub(crate) fn go(time: i64, up: Duration) -> String {
    let second = written(time, "%Y-%m-%d %H:%M:%S");
    let (millis, up) = (time.rem_euclid(1000), up.as_millis());
    format!("{second}.{millis:03}000000 +0000 UTC m=+{}.{:03}", up / 1000, up % 1000)
}

/// The time in milliseconds, as Binance has it: zero stands for both early times, since its field is a number.
pub(crate) fn millis(time: i64, bad: Option<BadTime>) -> Option<i64> {
    match bad {
        None => Some(time),
        Some(BadTime::YearOne | BadTime::Epoch) => Some(0),
        Some(BadTime::Future) => Some(time + YEAR),
        Some(BadTime::Missing) => None,
    }
}

fn written(time: i64, format: &str) -> String {
    let time = Timestamp::from_millisecond(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_782_907_200_123;

    #[test]
    fn writes_times_good_and_bad() {
        assert_eq!(sound(NOON, MICROS), "2026-07-01T12:00:00.123000Z");
        assert_eq!(
            stamp(NOON, Some(BadTime::YearOne), NANOS).as_deref(),
            Some("0001-01-01T00:00:00.000000000Z")
        );
        assert_eq!(stamp(NOON, Some(BadTime::Epoch), MICROS).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
        assert_eq!(
            stamp(NOON, Some(BadTime::Future), MICROS).as_deref(),
            Some("2027-07-01T12:00:00.123000Z")
        );
        assert_eq!(stamp(NOON, Some(BadTime::Missing), MICROS), None);
        assert_eq!(go(NOON, Duration::from_millis(1500)), "2026-07-01 12:00:00.123000000 +0000 UTC m=+1.500");
    }
}
