//! Query parameters of requests.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tickcast_core::{Filter, Mode, Time, TimeTextError};

use super::Problem;
use crate::rate::{RATES, Rate};
use crate::subscription::{HEARTBEATS, Heartbeat, Subscription};

/// The only parameter that may occur more than once. Its lists are combined.
const SYMBOLS: &str = "symbols";

/// Maximum number of characters of an unknown name in the error.
const EXCERPT_CHARS: usize = 24;

/// The decoded parameters of a query string: only known parameters, each at most once.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Parses a query string. Rejects a name that is not in `known`, because to ignore a parameter
    /// would answer a different question.
    pub(super) fn parse(query: Option<&'a str>, known: &[&'static str]) -> Result<Self, Problem> {
        let pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        for (i, (name, _)) in pairs.iter().enumerate() {
            let Some(known) = known.iter().find(|known| *known == name) else {
                return Err(unknown(name, known));
            };
            if *known != SYMBOLS && pairs[..i].iter().any(|(before, _)| before == name) {
                return Err(Problem::parameter(known, "the parameter occurs twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// Returns the value of `name`, if the query has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns the filter of all `symbols` lists together, or a filter for all symbols if there is
    /// no list.
    pub(super) fn filter(&self) -> Result<Filter, Problem> {
        match self.get(SYMBOLS) {
            None => Ok(Filter::all()),
            Some(_) => Ok(Filter::parse(
                self.all(SYMBOLS).flat_map(|list| list.split(',')),
            )?),
        }
    }

    /// Returns a number of `what` within `range`, if the query has one.
    pub(super) fn number<N>(
        &self,
        name: &'static str,
        range: &RangeInclusive<N>,
        what: &str,
    ) -> Result<Option<N>, Problem>
    where
        N: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let detail = format!("expected {} to {} {what}", range.start(), range.end());
                Err(Problem::parameter(name, detail))
            }
        }
    }

    /// Returns `true` or `false`, if the query has the parameter.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::parameter(name, "expected true or false")),
        }
    }

    /// Returns the time range, both ends included. By default, the range has no lower and no upper
    /// limit.
    pub(super) fn range(&self) -> Result<(Time, Time), Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        Ok((
            from.unwrap_or_default(),
            to.unwrap_or(Time::default().saturating_add(Duration::MAX)),
        ))
    }

    /// Returns a time, given in milliseconds or as RFC 3339 text.
    fn time(&self, name: &'static str) -> Result<Option<Time>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let time = text.parse().or_else(|error: TimeTextError| {
            // A `+` that is not percent-encoded is decoded as a space.
            let (start, offset) = text.rsplit_once(' ').ok_or_else(|| error.clone())?;
            format!("{start}+{offset}").parse().map_err(|_| error)
        });
        time.map(Some)
            .map_err(|error| Problem::parameter(name, error))
    }

    /// Returns `latest`, unless the query asks for `all`.
    pub(super) fn mode(&self) -> Result<Mode, Problem> {
        match self.get("mode") {
            None | Some("latest") => Ok(Mode::Latest),
            Some("all") => Ok(Mode::All),
            Some(_) => Err(Problem::parameter("mode", "expected latest or all")),
        }
    }

    /// Returns the heartbeat interval, if the query has one.
    pub(super) fn heartbeat(&self) -> Result<Option<Heartbeat>, Problem> {
        let seconds = self.number("heartbeat", &HEARTBEATS, "seconds")?;
        Ok(seconds.and_then(Heartbeat::seconds))
    }

    /// Returns the subscription of `symbols`, `rate` and `snapshot`.
    pub(super) fn subscription(&self) -> Result<Subscription, Problem> {
        let mut subscription = Subscription::to(self.filter()?);
        if let Some(rate) = self.number("rate", &RATES, "updates per second")? {
            subscription = subscription.max_rate(Rate::per_second(rate)?);
        }
        if self.flag("snapshot")? == Some(false) {
            subscription = subscription.without_snapshot();
        }
        Ok(subscription)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }
}

/// Returns 400 for an unknown name and suggests the most similar known name.
fn unknown(name: &str, known: &[&'static str]) -> Problem {
    let shown: String = name.chars().take(EXCERPT_CHARS).collect();
    let likeness = |known: &str| strsim::jaro_winkler(known, &name.to_ascii_lowercase());
    let nearest = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let detail = match nearest {
        Some(nearest) => {
            format!("unknown parameter {shown:?}; the nearest known parameter is {nearest:?}")
        }
        None => format!("unknown parameter {shown:?}; this path has no parameters"),
    };
    Problem::new(axum::http::StatusCode::BAD_REQUEST, detail).with("parameter", shown)
}

/// An extractor for routes without query parameters. Make it an argument of a handler. A request
/// with a query parameter is then answered with a 400 [`Problem`] that names the parameter.
#[derive(Debug, Clone, Copy)]
pub struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::parse(parts.uri.query(), &[]).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["symbols", "from", "to"];

    fn says(query: &str) -> String {
        let range = Query::parse(Some(query), &KNOWN).and_then(|query| query.range());
        range
            .err()
            .map(|problem| problem.to_json())
            .unwrap_or_default()
    }

    #[test]
    fn an_unknown_parameter_is_rejected_with_the_most_similar_name() {
        for (query, nearest) in [
            ("symbol=A", "symbols"),
            ("Symbols=A", "symbols"),
            ("form=0", "from"),
        ] {
            let name = query.split('=').next().unwrap();
            let detail = format!(
                "unknown parameter \\\"{name}\\\"; the nearest known parameter is \\\"{nearest}\\\""
            );
            assert!(says(query).contains(&detail), "{}", says(query));
            assert!(
                says(query).contains(&format!("\"parameter\":\"{name}\"")),
                "{}",
                says(query)
            );
        }
        assert!(
            Query::parse(Some("x"), &[])
                .err()
                .unwrap()
                .to_json()
                .contains("this path has no parameters")
        );
        assert!(Query::parse(Some("&"), &[]).is_ok());
    }

    #[test]
    fn symbol_lists_are_combined_and_other_parameters_occur_once() {
        let query = Query::parse(Some("symbols=A&symbols=B,C"), &KNOWN).unwrap();
        assert_eq!(
            query.filter().unwrap().entries().collect::<Vec<_>>(),
            ["A", "B", "C"]
        );
        assert!(says("from=0&from=0").contains("from: the parameter occurs twice"));
    }

    #[test]
    fn times_are_accepted_in_milliseconds_and_in_rfc_3339() {
        for from in [
            "1704205800000",
            "2024-01-02T14:30:00Z",
            "2024-01-02T15:30:00%2B01:00",
            "2024-01-02T15:30:00+01:00",
        ] {
            let text = format!("from={from}");
            let query = Query::parse(Some(&text), &KNOWN).unwrap();
            assert_eq!(
                query.range().unwrap().0.as_millis(),
                1_704_205_800_000,
                "{from}"
            );
        }
        assert!(
            says("to=2026-11-26")
                .contains("to: time `2026-11-26` is neither a whole number of milliseconds")
        );
        assert!(says("from=1704205800").contains("from: time 1704205800 looks like seconds"));
    }
}
