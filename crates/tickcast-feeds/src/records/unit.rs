//! The unit of the times in a file, if the unit is not milliseconds.

use std::borrow::Cow;

/// The unit of the numbers in a time column, counted since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Unit {
    Seconds,
    #[default]
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    /// Parses the name of a column: `time`, `time_s`, `time_us` or `time_ns`.
    pub(super) fn of_column(name: &str) -> Option<Self> {
        Some(match name {
            "time" => Self::Milliseconds,
            "time_s" => Self::Seconds,
            "time_us" => Self::Microseconds,
            "time_ns" => Self::Nanoseconds,
            _ => return None,
        })
    }

    /// Returns a time in milliseconds, without finer fractions. A text that is not a number stays
    /// unchanged, so that the parser of the tick reports the error.
    pub(super) fn to_ms<'t>(self, text: &'t str) -> Cow<'t, str> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if self == Self::Milliseconds || !digits(whole) || !digits(fraction) {
            return Cow::Borrowed(text);
        }
        let cut = |places: usize| {
            whole
                .get(..whole.len().saturating_sub(places))
                .filter(|ms| !ms.is_empty())
        };
        Cow::Owned(match self {
            Self::Seconds => format!("{whole}{fraction:0<3.3}"),
            Self::Milliseconds => whole.to_owned(),
            Self::Microseconds => cut(3).unwrap_or("0").to_owned(),
            Self::Nanoseconds => cut(6).unwrap_or("0").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_converted_to_milliseconds() {
        let ms =
            |column: &str, text: &str| Unit::of_column(column).unwrap().to_ms(text).into_owned();
        for (column, text) in [
            ("time", "1704067200123"),
            ("time_s", "1704067200.1239"),
            ("time_us", "1704067200123999"),
            ("time_ns", "1704067200123999999"),
        ] {
            assert_eq!(ms(column, text), "1704067200123", "{column}");
        }
        assert_eq!(
            (ms("time_s", "1704067200"), ms("time_s", "1.5")),
            ("1704067200000".into(), "1500".into())
        );
        assert_eq!(ms("time_us", "5"), "0");
        for text in ["2024-01-01T00:00:00Z", "-5", "1e9", ""] {
            assert_eq!(ms("time_s", text), text);
        }
        assert_eq!(Unit::of_column("timestamp"), None);
    }
}
