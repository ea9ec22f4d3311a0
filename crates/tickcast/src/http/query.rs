//! What is asked for in a URL.

use std::borrow::Cow;
use std::time::Duration;

use tickcast_core::{Filter, Mode, Time};

use super::Problem;
use crate::subscription::{Pace, Subscription};

/// The decoded pairs of a query string. Names that nobody asks for are passed over: pages add them against caches.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    /// The value of `name`; the last one, where it is given more than once.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// The symbols that are named, in one list or several; everything where there is none.
    pub(super) fn filter(&self) -> Result<Filter, Problem> {
        match self.get("symbols") {
            None => Ok(Filter::all()),
            Some(_) => Ok(Filter::parse(self.all("symbols").flat_map(|list| list.split(',')))?),
        }
    }

    /// A number, where one is given.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &'static str) -> Result<Option<N>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(24).collect();
            Problem::parameter(name, format!("{shown:?} is not a number it can be"))
        })
    }

    /// `true` or `false`, where one is given.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::parameter(name, "true or false is expected")),
        }
    }

    /// From when to when, both included, in ms; from the beginning, and to the end, unless it is said.
    pub(super) fn range(&self) -> Result<(Time, Time), Problem> {
        let time = |name| {
            let ms: Option<i64> = self.number(name)?;
            ms.map(|ms| Time::from_millis(ms).map_err(|error| Problem::parameter(name, error))).transpose()
        };
        let (from, to) = (time("from")?, time("to")?);
        Ok((from.unwrap_or_default(), to.unwrap_or(Time::default().saturating_add(Duration::MAX))))
    }

    /// `latest`, unless `all` is asked for.
    pub(super) fn mode(&self) -> Result<Mode, Problem> {
        match self.get("mode") {
            None | Some("latest") => Ok(Mode::Latest),
            Some("all") => Ok(Mode::All),
            Some(_) => Err(Problem::parameter("mode", "latest or all is expected")),
        }
    }

    /// What `symbols`, `rate` and `snapshot` ask for.
    pub(super) fn subscription(&self) -> Result<Subscription, Problem> {
        let mut subscription = Subscription::to(self.filter()?);
        if let Some(rate) = self.number("rate")? {
            subscription = subscription.paced(Pace::per_second(rate)?);
        }
        if self.flag("snapshot")? == Some(false) {
            subscription = subscription.without_snapshot();
        }
        Ok(subscription)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}
