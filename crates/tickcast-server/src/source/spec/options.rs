//! The options after the `?` of a source.

use std::time::Duration;

use tickcast::Symbol;
use tickcast_feeds::records::Layout;
use tickcast_feeds::replay::Pacing;
use tickcast_sim::Simulation;

use super::SourceSpecError;
use crate::settings::HumanDuration;

/// Minimum price timeout. A shorter timeout would dial an exchange too often when prices are
/// missing.
const LEAST_SILENCE: Duration = Duration::from_secs(1);

/// Checks a configured name of a source. The name is a label of metrics, and everyone can see the
/// name.
pub(super) fn name(source: &str, text: String) -> Result<String, SourceSpecError> {
    let sound = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    // `http` is the source of posted ticks, and `local` is the source of ticks that a program
    // publishes itself.
    let sound = sound && !["http", "local"].contains(&text.as_str());
    if sound {
        Ok(text)
    } else {
        Err(SourceSpecError::Name(source.to_owned()))
    }
}

/// The options after the `?`, which are removed one by one.
pub(super) struct Options<'a> {
    pub(super) source: &'a str,
    pub(super) pairs: Vec<(String, Option<String>)>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(source: &'a str, text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            match pair.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (pair.to_owned(), None),
            }
        });
        Self {
            source,
            pairs: pairs.collect(),
        }
    }

    /// Removes the option `key` and returns its value, or an empty text if the option has no value.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(name, _)| name == key)?;
        Some(self.pairs.remove(at).1.unwrap_or_default())
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, SourceSpecError> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(self.value(key, other, "true or false")),
        }
    }

    pub(super) fn drop_unchanged(&mut self) -> Result<bool, SourceSpecError> {
        match self.take("unchanged").as_deref() {
            None | Some("keep") => Ok(false),
            Some("drop") => Ok(true),
            Some(other) => Err(self.value("unchanged", other, "keep or drop")),
        }
    }

    pub(super) fn stale_after(&mut self) -> Result<Option<HumanDuration>, SourceSpecError> {
        let Some(text) = self.take("stale_after") else {
            return Ok(None);
        };
        let span = text.parse().map_err(|_| {
            self.value("stale_after", &text, "a time, such as 30s, or 0s for never")
        })?;
        Ok(Some(span))
    }

    /// Returns the maximum time that a tick may be ahead of the clock.
    pub(super) fn max_ahead(&mut self) -> Result<Option<HumanDuration>, SourceSpecError> {
        let Some(text) = self.take("max_ahead") else {
            return Ok(None);
        };
        let span = text
            .parse()
            .map_err(|_| self.value("max_ahead", &text, "a time, such as 1m or 2h"))?;
        Ok(Some(span))
    }

    /// Returns the price timeout: the time without a price before another connection is tried.
    pub(super) fn silence(&mut self) -> Result<Option<Duration>, SourceSpecError> {
        let Some(text) = self.take("silence") else {
            return Ok(None);
        };
        let span = text
            .parse::<HumanDuration>()
            .ok()
            .filter(|span| span.0 >= LEAST_SILENCE);
        span.map(|span| Some(span.0))
            .ok_or_else(|| self.value("silence", &text, "a time of at least 1s"))
    }

    pub(super) fn name(&mut self) -> Result<Option<String>, SourceSpecError> {
        self.take("name")
            .map(|text| name(self.source, text))
            .transpose()
    }

    /// Returns the simulated market with the rate of the option.
    pub(super) fn sim_rate(
        &mut self,
        simulation: Simulation,
    ) -> Result<Simulation, SourceSpecError> {
        let Some(text) = self.take("rate") else {
            return Ok(simulation);
        };
        let simulation = text
            .parse()
            .ok()
            .and_then(|rate| simulation.rate(rate).ok());
        simulation.ok_or_else(|| self.value("rate", &text, "1 to 100000 ticks per second"))
    }

    /// Returns the layout of a CSV.
    pub(super) fn layout(&mut self) -> Result<Layout, SourceSpecError> {
        let (columns, symbol) = (self.take("columns"), self.take("symbol"));
        let source = || self.source.to_owned();
        let columns = columns.map(|text| text.parse()).transpose();
        let columns = columns.map_err(|error| SourceSpecError::Columns(source(), error))?;
        let symbol = symbol.map(|text| Symbol::new(&text)).transpose();
        let symbol = symbol.map_err(|error| SourceSpecError::Symbol(source(), error))?;
        let layout = Layout { columns, symbol };
        layout
            .check()
            .map_err(|error| SourceSpecError::Columns(source(), error))?;
        Ok(layout)
    }

    pub(super) fn pacing(&mut self) -> Result<Pacing, SourceSpecError> {
        if let Some(text) = self.take("rate") {
            let rate = text.parse().ok().and_then(|rate| Pacing::rate(rate).ok());
            return rate
                .ok_or_else(|| self.value("rate", &text, "0.001 to 10000000 ticks per second"));
        }
        match self.take("speed").as_deref() {
            None => Ok(Pacing::default()),
            Some("max") => Ok(Pacing::MAX),
            Some(text) => {
                let speed = text
                    .parse()
                    .ok()
                    .and_then(|factor| Pacing::speed(factor).ok());
                speed.ok_or_else(|| self.value("speed", text, "max or 0.001 to 10000000"))
            }
        }
    }

    /// Ends the parsing. Any remaining option is unknown.
    pub(super) fn end(self, known: &'static str) -> Result<(), SourceSpecError> {
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((key, _)) => Err(SourceSpecError::Option(self.source.to_owned(), key, known)),
        }
    }

    pub(super) fn value(&self, key: &str, value: &str, expected: &'static str) -> SourceSpecError {
        SourceSpecError::Value(
            self.source.to_owned(),
            key.to_owned(),
            value.to_owned(),
            expected,
        )
    }

    pub(super) fn file(&self, path: &std::path::Path, error: &str) -> SourceSpecError {
        SourceSpecError::File(
            self.source.to_owned(),
            path.display().to_string(),
            error.to_owned(),
        )
    }
}
