//! What a source is called on the command line and in the configuration.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use tickcast::{Rules, Symbol, SymbolError};

use super::replay::Pacing;
use crate::settings::Span;

/// The simulated market that is shown when nobody names a seed.
const SEED: u64 = 2;

/// Ticks a second of the simulated market, unless asked otherwise, and what may be asked for.
const SIM_RATE: f64 = 200.0;
const SIM_RATES: std::ops::RangeInclusive<f64> = 1.0..=100_000.0;

/// How fast a file may be replayed, in ticks a second or times its own speed.
const REPLAY_RATES: std::ops::RangeInclusive<f64> = 0.001..=10_000_000.0;

/// One source, ready to be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceSpec {
    /// What it is called in the log, in metrics and in `/v1/status`: as it was written, less its options and, since anyone
    /// may read it, a file's folder.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) rules: Rules,
    pub(crate) rename: Rename,
    /// How long it may be silent before its prices are stale; zero: for ever. `None`: as long as any source.
    pub(crate) stale_after: Option<Span>,
}

/// What kind of source it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A made-up market.
    Sim { seed: u64, rate: f64 },
    /// Ticks from a file.
    Replay { path: PathBuf, pacing: Pacing, repeat: bool },
    /// Ticks from standard input.
    Stdin,
}

impl Kind {
    fn name(&self, written: &str) -> String {
        match self {
            Self::Replay { path, .. } => {
                format!("replay:{}", path.file_name().unwrap_or_default().to_string_lossy())
            }
            Self::Sim { .. } | Self::Stdin => written.to_owned(),
        }
    }
}

/// A `[[source]]` of the configuration file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SourceTable {
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) map: HashMap<String, String>,
    pub(crate) prefix: Option<String>,
    pub(crate) allow_late: Option<bool>,
    pub(crate) repeat: Option<String>,
    pub(crate) stale_after: Option<Span>,
}

/// Keys of a `[[source]]`.
pub(crate) const SOURCE_KEYS: [&str; 6] = ["from", "map", "prefix", "allow_late", "repeat", "stale_after"];

/// Why a text does not name a source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("source {0:?}: known are sim[:SEED], replay:FILE, stdin and none")]
    Unknown(String),
    #[error("source {0:?}: a seed is a whole number, such as sim:42")]
    Seed(String),
    #[error("source {0:?}: a file is missing, as in replay:ticks.ndjson.gz")]
    NoFile(String),
    #[error("source {source:?}: {file}: {error}", source = .0, file = .1, error = .2)]
    File(String, String, String),
    #[error("source {0:?}: option {1:?} is unknown; known are {2}")]
    Option(String, String, &'static str),
    #[error("source {0:?}: {1} cannot be {2:?}; {3} is expected")]
    Value(String, String, String, &'static str),
}

impl SourceSpec {
    /// Reads `KIND[:ARGUMENT][?OPTION=VALUE&…]`. `None` for `none`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, SpecError> {
        let (head, options) = text.split_once('?').unwrap_or((text, ""));
        let (kind, argument) =
            head.split_once(':').map_or((head, None), |(kind, argument)| (kind, Some(argument)));
        let mut options = Options::parse(text, options);
        let kind = match (kind, argument) {
            ("none", None) => return Ok(None),
            ("sim", seed) => Kind::Sim {
                seed: seed.map_or(Ok(SEED), str::parse).map_err(|_| SpecError::Seed(text.to_owned()))?,
                rate: options.sim_rate()?,
            },
            ("stdin", None) => Kind::Stdin,
            ("replay", None | Some("")) => return Err(SpecError::NoFile(text.to_owned())),
            ("replay", Some(path)) => {
                let path = PathBuf::from(path);
                let readable = std::fs::File::open(&path).and_then(|file| file.metadata());
                match readable {
                    Ok(file) if file.is_dir() => return Err(options.file(&path, "is a directory")),
                    Ok(_) => {}
                    Err(error) => return Err(options.file(&path, &error.to_string())),
                }
                Kind::Replay { path, pacing: options.pacing()?, repeat: options.flag("loop")? }
            }
            _ => return Err(SpecError::Unknown(text.to_owned())),
        };
        let rules = Rules { allow_late: options.flag("allow_late")?, drop_repeats: options.drop_repeats()? };
        let rename = Rename { prefix: options.take("prefix").unwrap_or_default(), map: HashMap::new() };
        let stale_after = options.stale_after()?;
        options.end(&kind)?;
        Ok(Some(Self { name: kind.name(head), kind, rules, rename, stale_after }))
    }

    /// Whether its prices are made up.
    pub(crate) const fn is_simulated(&self) -> bool {
        matches!(self.kind, Kind::Sim { .. })
    }

    /// Reads a `[[source]]`. What it says outweighs options in its `from`.
    pub(crate) fn from_table(table: SourceTable) -> Result<Option<Self>, SpecError> {
        let Some(mut spec) = Self::parse(&table.from)? else { return Ok(None) };
        spec.rename.map = table.map;
        spec.rename.prefix = table.prefix.unwrap_or(spec.rename.prefix);
        spec.stale_after = table.stale_after.or(spec.stale_after);
        spec.rules.allow_late = table.allow_late.unwrap_or(spec.rules.allow_late);
        if let Some(repeat) = table.repeat {
            let mut options = Options::parse(&table.from, "");
            options.pairs.push(("repeat".to_owned(), Some(repeat)));
            spec.rules.drop_repeats = options.drop_repeats()?;
        }
        Ok(Some(spec))
    }
}

/// What a source's symbols are called here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rename {
    /// Put before every name that the map does not hold.
    pub(crate) prefix: String,
    /// From the source's name to ours.
    pub(crate) map: HashMap<String, String>,
}

impl Rename {
    pub(crate) fn apply(&self, symbol: Symbol) -> Result<Symbol, SymbolError> {
        match self.map.get(symbol.as_str()) {
            Some(name) => Symbol::new(name),
            None if self.prefix.is_empty() => Ok(symbol),
            None => Symbol::new(&format!("{}{symbol}", self.prefix)),
        }
    }
}

/// The options behind the `?`, to be taken one by one.
struct Options<'a> {
    source: &'a str,
    pairs: Vec<(String, Option<String>)>,
}

impl<'a> Options<'a> {
    fn parse(source: &'a str, text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (pair.to_owned(), None),
        });
        Self { source, pairs: pairs.collect() }
    }

    /// The value of `key`; empty where it stands alone.
    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(name, _)| name == key)?;
        Some(self.pairs.remove(at).1.unwrap_or_default())
    }

    fn flag(&mut self, key: &'static str) -> Result<bool, SpecError> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(self.value(key, other, "true or false")),
        }
    }

    fn drop_repeats(&mut self) -> Result<bool, SpecError> {
        match self.take("repeat").as_deref() {
            None | Some("keep") => Ok(false),
            Some("drop") => Ok(true),
            Some(other) => Err(self.value("repeat", other, "keep or drop")),
        }
    }

    fn stale_after(&mut self) -> Result<Option<Span>, SpecError> {
        let Some(text) = self.take("stale_after") else { return Ok(None) };
        let span = text
            .parse()
            .map_err(|_| self.value("stale_after", &text, "a time, such as 30s or 0s for never,"))?;
        Ok(Some(span))
    }

    fn sim_rate(&mut self) -> Result<f64, SpecError> {
        let Some(text) = self.take("rate") else { return Ok(SIM_RATE) };
        let rate = text.parse().ok().filter(|rate| SIM_RATES.contains(rate));
        rate.ok_or_else(|| self.value("rate", &text, "1 to 100000 ticks a second"))
    }

    fn pacing(&mut self) -> Result<Pacing, SpecError> {
        let number = |text: &str| text.parse().ok().filter(|number| REPLAY_RATES.contains(number));
        if let Some(text) = self.take("rate") {
            let rate =
                number(&text).ok_or_else(|| self.value("rate", &text, "0.001 to 10000000 ticks a second"))?;
            return Ok(Pacing::Rate(rate));
        }
        match self.take("speed").as_deref() {
            None => Ok(Pacing::Times(1.0)),
            Some("max") => Ok(Pacing::Max),
            Some(text) => {
                let speed =
                    number(text).ok_or_else(|| self.value("speed", text, "max or 0.001 to 10000000"))?;
                Ok(Pacing::Times(speed))
            }
        }
    }

    fn end(self, kind: &Kind) -> Result<(), SpecError> {
        let known = match kind {
            Kind::Sim { .. } => "rate, prefix, allow_late, repeat and stale_after",
            Kind::Replay { .. } => "speed, rate, loop, prefix, allow_late, repeat and stale_after",
            Kind::Stdin => "prefix, allow_late, repeat and stale_after",
        };
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((key, _)) => Err(SpecError::Option(self.source.to_owned(), key, known)),
        }
    }

    fn value(&self, key: &str, value: &str, expected: &'static str) -> SpecError {
        SpecError::Value(self.source.to_owned(), key.to_owned(), value.to_owned(), expected)
    }

    fn file(&self, path: &std::path::Path, error: &str) -> SpecError {
        SpecError::File(self.source.to_owned(), path.display().to_string(), error.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SourceSpec {
        SourceSpec::parse(text).unwrap().unwrap()
    }

    fn says(text: &str) -> String {
        SourceSpec::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_form() {
        assert_eq!(parse("sim").kind, Kind::Sim { seed: SEED, rate: SIM_RATE });
        assert_eq!(parse("sim:7?rate=5000").kind, Kind::Sim { seed: 7, rate: 5000.0 });
        assert_eq!(
            parse("stdin?prefix=X:&repeat=drop&allow_late").rules,
            Rules { allow_late: true, drop_repeats: true }
        );
        assert_eq!(SourceSpec::parse("none"), Ok(None));
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_path_buf();
        let replay = parse(&format!("replay:{}?speed=max&loop", path.display()));
        assert_eq!(replay.kind, Kind::Replay { path, pacing: Pacing::Max, repeat: true });
    }

    #[test]
    fn each_refusal_by_name() {
        assert_eq!(
            says("bitmex:x"),
            "source \"bitmex:x\": known are sim[:SEED], replay:FILE, stdin and none"
        );
        assert_eq!(says("sim:x"), "source \"sim:x\": a seed is a whole number, such as sim:42");
        assert_eq!(
            says("sim?rate=0"),
            "source \"sim?rate=0\": rate cannot be \"0\"; 1 to 100000 ticks a second is expected"
        );
        assert_eq!(
            says("stdin?x=1"),
            "source \"stdin?x=1\": option \"x\" is unknown; known are prefix, allow_late, repeat and stale_after"
        );
        assert_eq!(says("replay:"), "source \"replay:\": a file is missing, as in replay:ticks.ndjson.gz");
        assert_eq!(
            says("stdin?stale_after=soon"),
            "source \"stdin?stale_after=soon\": stale_after cannot be \"soon\"; a time, such as 30s or 0s for never, is expected"
        );
        assert!(says("replay:/no/such").starts_with("source \"replay:/no/such\": /no/such: No such file"));
        assert!(says("replay:/?speed=max").ends_with("/: is a directory"));
    }

    #[test]
    fn names_of_ones_own() {
        let map = HashMap::from([("BTCUSDT".to_owned(), "BTC/USD".to_owned())]);
        let rename = Rename { prefix: "B:".to_owned(), map };
        let apply = |name| rename.apply(Symbol::new(name).unwrap()).map(|symbol| symbol.to_string());
        assert_eq!(apply("BTCUSDT").unwrap(), "BTC/USD");
        assert_eq!(apply("ETHUSDT").unwrap(), "B:ETHUSDT");
        assert!(apply(&"x".repeat(32)).is_err());
    }
}
