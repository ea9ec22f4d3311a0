//! Times in the exchanges' formats, valid and invalid.

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::BadTime;

/// How far ahead [`BadTime::Future`] is, in ms.
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// Number of digits for microseconds, as Coinbase Exchange and Kraken write times.
pub(crate) const MICROS: usize = 6;

/// Number of digits for nanoseconds, as Coinbase Advanced Trade writes times.
pub(crate) const NANOS: usize = 9;

/// Returns the time in RFC 3339 with `digits` digits of a second, or `None` if the time must be
/// missing.
pub(crate) fn timestamp(time: i64, bad: Option<BadTime>, digits: usize) -> Option<String> {
    let zeros = "0".repeat(digits);
    match bad {
        None => Some(valid_timestamp(time, digits)),
        Some(BadTime::YearOne) => Some(format!("0001-01-01T00:00:00.{zeros}Z")),
        Some(BadTime::Epoch) => Some(valid_timestamp(0, digits)),
        Some(BadTime::Future) => Some(valid_timestamp(time + YEAR_MS, digits)),
        Some(BadTime::Missing) => None,
    }
}

/// Returns the valid time in RFC 3339.
pub(crate) fn valid_timestamp(time: i64, digits: usize) -> String {
    let second = format_time(time, "%Y-%m-%dT%H:%M:%S");
    let zeros = digits - 3;
    format!("{second}.{:03}{:0zeros$}Z", time.rem_euclid(1000), 0)
}

/// Returns the time in Go's format. The heartbeats of Coinbase Advanced Trade have this format.
pub(crate) fn go_timestamp(time: i64, uptime: Duration) -> String {
    let second = format_time(time, "%Y-%m-%d %H:%M:%S");
    let (millis, uptime) = (time.rem_euclid(1000), uptime.as_millis());
    format!(
        "{second}.{millis:03}000000 +0000 UTC m=+{}.{:03}",
        uptime / 1000,
        uptime % 1000
    )
}

/// Returns the time in milliseconds, as Binance writes times. Both early times are zero, because
/// Binance's time field is a number.
pub(crate) fn millis(time: i64, bad: Option<BadTime>) -> Option<i64> {
    match bad {
        None => Some(time),
        Some(BadTime::YearOne | BadTime::Epoch) => Some(0),
        Some(BadTime::Future) => Some(time + YEAR_MS),
        Some(BadTime::Missing) => None,
    }
}

fn format_time(time: i64, format: &str) -> String {
    let time = Timestamp::from_millisecond(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_782_907_200_123;

    #[test]
    fn valid_and_invalid_times_are_written() {
        assert_eq!(valid_timestamp(NOON, MICROS), "2026-07-01T12:00:00.123000Z");
        assert_eq!(
            timestamp(NOON, Some(BadTime::YearOne), NANOS).as_deref(),
            Some("0001-01-01T00:00:00.000000000Z")
        );
        assert_eq!(
            timestamp(NOON, Some(BadTime::Epoch), MICROS).as_deref(),
            Some("1970-01-01T00:00:00.000000Z")
        );
        assert_eq!(
            timestamp(NOON, Some(BadTime::Future), MICROS).as_deref(),
            Some("2027-07-01T12:00:00.123000Z")
        );
        assert_eq!(timestamp(NOON, Some(BadTime::Missing), MICROS), None);
        assert_eq!(
            go_timestamp(NOON, Duration::from_millis(1500)),
            "2026-07-01 12:00:00.123000000 +0000 UTC m=+1.500"
        );
    }
}
