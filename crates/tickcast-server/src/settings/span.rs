//! Durations in the form that people write.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// A duration within bounds. The default bounds are those of most settings: `5ms`, `1s 500ms`,
/// `2min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String", bound = "B: Bounds")]
pub(crate) struct HumanDuration<B = UpToOneDay>(pub(crate) Duration, PhantomData<B>);

/// Maximum age of data: `12h`, `30days`, `2years`.
pub(crate) type Age = HumanDuration<AnyAge>;

/// How long a token is valid: `15m`, `30days`, `1year`.
pub(crate) type Validity = HumanDuration<OneSecondToTenYears>;

/// A time between two actions of a hub: `5ms`, `1s`.
pub(crate) type HubDuration = HumanDuration<OneMsToOneDay>;

/// The bounds of a duration, and the words for errors.
pub(crate) trait Bounds {
    /// Minimum duration.
    const MIN: Duration;
    /// Maximum duration, in numbers and in words. `None` means no maximum.
    const MAX: Option<(Duration, &'static str)>;
    /// The expected text, with examples.
    const EXPECTED: &'static str;
}

/// The bounds 0 to 1 day. A longer duration is probably a typing error. The limit also keeps sums
/// of durations far from an overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpToOneDay;

/// The bounds 1 ms to 1 day, of times between two actions of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneMsToOneDay;

/// The bounds 1 s to 10 years, of the validity of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneSecondToTenYears;

/// The bounds of an age: more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnyAge;

impl Bounds for UpToOneDay {
    const MIN: Duration = Duration::ZERO;
    const MAX: Option<(Duration, &'static str)> = Some((Duration::from_secs(86_400), "a day"));
    const EXPECTED: &'static str = "a time such as 5ms, 10s or 2min";
}

impl Bounds for OneMsToOneDay {
    const MIN: Duration = Duration::from_millis(1);
    const MAX: Option<(Duration, &'static str)> = UpToOneDay::MAX;
    const EXPECTED: &'static str = "a time from 1ms to 1day, such as 5ms or 2min";
}

impl Bounds for OneSecondToTenYears {
    const MIN: Duration = Duration::from_secs(1);
    // A year has 365.25 days.
    const MAX: Option<(Duration, &'static str)> =
        Some((Duration::from_secs(315_576_000), "10 years"));
    const EXPECTED: &'static str = "a time from 1s to 10years, such as 15m, 12h or 30days";
}

impl Bounds for AnyAge {
    const MIN: Duration = Duration::from_nanos(1);
    const MAX: Option<(Duration, &'static str)> = None;
    const EXPECTED: &'static str = "an age such as 12h, 30days or 2years";
}

impl<B> HumanDuration<B> {
    /// Returns a duration that the caller knows to be within the bounds.
    pub(crate) const fn new(duration: Duration) -> Self {
        Self(duration, PhantomData)
    }

    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self::new(Duration::from_secs(secs))
    }

    pub(crate) const fn from_millis(ms: u64) -> Self {
        Self::new(Duration::from_millis(ms))
    }
}

impl<B: Bounds> FromStr for HumanDuration<B> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .ok()
            .filter(|duration| *duration >= B::MIN);
        let duration = duration.ok_or_else(|| format!("{text:?} is not {}", B::EXPECTED))?;
        match B::MAX {
            Some((max, shown)) if duration > max => Err(format!("{text:?} is longer than {shown}")),
            _ => Ok(Self::new(duration)),
        }
    }
}

impl<B: Bounds> TryFrom<String> for HumanDuration<B> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl<B> fmt::Display for HumanDuration<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_bounds() {
        let time = |text: &str| text.parse::<HumanDuration>().map(|time| time.0.as_secs());
        let age = |text: &str| text.parse::<Age>().map(|age| age.0.as_secs());
        assert_eq!((time("0s"), time("1day")), (Ok(0), Ok(86_400)));
        assert_eq!(
            time("1day 1s").unwrap_err(),
            "\"1day 1s\" is longer than a day"
        );
        assert_eq!(
            time("soon").unwrap_err(),
            "\"soon\" is not a time such as 5ms, 10s or 2min"
        );
        let interval = |text: &str| text.parse::<HubDuration>().map(|time| time.0.as_millis());
        assert_eq!((interval("1ms"), interval("1day")), (Ok(1), Ok(86_400_000)));
        for text in ["0s", "999us"] {
            let expected = format!("{text:?} is not a time from 1ms to 1day, such as 5ms or 2min");
            assert_eq!(interval(text).unwrap_err(), expected);
        }
        assert_eq!(
            interval("2days").unwrap_err(),
            "\"2days\" is longer than a day"
        );
        let validity = |text: &str| text.parse::<Validity>().map(|time| time.0.as_secs());
        assert_eq!((validity("1s"), validity("30d")), (Ok(1), Ok(30 * 86_400)));
        assert_eq!(validity("10years"), Ok(315_576_000));
        assert_eq!(
            validity("10years 1s").unwrap_err(),
            "\"10years 1s\" is longer than 10 years"
        );
        assert_eq!(
            validity("999ms").unwrap_err(),
            "\"999ms\" is not a time from 1s to 10years, such as 15m, 12h or 30days"
        );
        assert_eq!(age("30days"), Ok(30 * 86_400));
        for text in ["0s", "old"] {
            let expected = format!("{text:?} is not an age such as 12h, 30days or 2years");
            assert_eq!(age(text).unwrap_err(), expected);
        }
    }
}
