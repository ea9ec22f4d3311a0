//! The text form of sources on the command line and in the configuration.

mod error;
mod exchange;
mod options;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tickcast::{SourceOptions, Symbol};
use tickcast_feeds::Rename;
use tickcast_feeds::records::Layout;
use tickcast_feeds::replay::Replay;
use tickcast_sim::Simulation;

use crate::settings::HumanDuration;
pub(crate) use error::SourceSpecError;
pub(crate) use exchange::{ExchangeSpec, Venue};
use options::Options;

/// A source, ready to be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceSpec {
    /// The name in the log, in metrics and in `/v1/status`: the label, with a number if other
    /// sources have the same label.
    pub(crate) name: String,
    /// The configured name. The default is the source text without its options. A file's folder is
    /// also left out, because anyone may read the label.
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) options: SourceOptions,
    pub(crate) rename: Rename,
    /// Time without a tick after which the prices are stale; zero: never. `None`: the default of
    /// all sources.
    pub(crate) stale_after: Option<HumanDuration>,
    /// Whether the source is paused: the source is known, but does not run.
    pub(crate) paused: bool,
}

/// The kind of a source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A simulated market.
    Sim(Simulation),
    /// Ticks from a file.
    Replay(Replay),
    /// Ticks from standard input.
    Stdin(Layout),
    /// Ticks from datagrams.
    Udp(SocketAddr),
    /// Prices of an exchange.
    Exchange(ExchangeSpec),
}

impl Kind {
    /// Returns the options of this kind, for an error about an unknown option.
    fn option_names(&self) -> &'static str {
        match self {
            Self::Sim(_) => "rate, prefix, allow_late, unchanged, stale_after, max_ahead and name",
            Self::Replay(_) => {
                "speed, rate, loop, columns, symbol, prefix, allow_late, unchanged, stale_after, max_ahead and name"
            }
            Self::Stdin(_) => {
                "columns, symbol, prefix, allow_late, unchanged, stale_after, max_ahead and name"
            }
            Self::Udp(_) => "prefix, allow_late, unchanged, stale_after, max_ahead and name",
            Self::Exchange(exchange) => exchange.venue.options(),
        }
    }

    /// Converts the keys of a map to the names that the source itself uses.
    fn keys(&self, map: HashMap<String, String>) -> HashMap<String, String> {
        match self {
            Self::Exchange(exchange) => map
                .into_iter()
                .map(|(theirs, ours)| (exchange.venue.canonical_symbol(&theirs), ours))
                .collect(),
            Self::Sim(_) | Self::Replay(_) | Self::Stdin(_) | Self::Udp(_) => map,
        }
    }

    fn name(&self, written: &str) -> String {
        match self {
            Self::Replay(replay) => {
                format!(
                    "replay:{}",
                    replay
                        .path()
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                )
            }
            Self::Sim(_) | Self::Stdin(_) | Self::Udp(_) => written.to_owned(),
            // The name has no symbols, because an exchange may have hundreds.
            Self::Exchange(exchange) => exchange.venue.name().to_owned(),
        }
    }
}

/// A `[[source]]` table of the configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct SourceTable {
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) map: HashMap<String, String>,
    pub(crate) prefix: Option<String>,
    pub(crate) allow_late: Option<bool>,
    pub(crate) unchanged: Option<String>,
    pub(crate) stale_after: Option<HumanDuration>,
    pub(crate) max_ahead: Option<HumanDuration>,
    pub(crate) name: Option<String>,
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) symbols: Vec<String>,
    #[serde(default)]
    pub(crate) paused: bool,
}

/// Keys of a `[[source]]` table.
pub(crate) const SOURCE_KEYS: [&str; 11] = [
    "from",
    "map",
    "prefix",
    "allow_late",
    "unchanged",
    "stale_after",
    "max_ahead",
    "name",
    "url",
    "symbols",
    "paused",
];

impl SourceSpec {
    /// Parses `KIND[:ARGUMENT][?OPTION=VALUE&…]`. Returns `None` for `none`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, SourceSpecError> {
        let spec = Self::read(text)?;
        spec.as_ref().map_or(Ok(()), |spec| spec.check(text))?;
        Ok(spec)
    }

    fn read(text: &str) -> Result<Option<Self>, SourceSpecError> {
        let (head, options) = text.split_once('?').unwrap_or((text, ""));
        let (kind, argument) = head
            .split_once(':')
            .map_or((head, None), |(kind, argument)| (kind, Some(argument)));
        let mut options = Options::parse(text, options);
        let kind = match (kind, argument) {
            ("none", None) => return Ok(None),
            ("sim", seed) => {
                let seed = seed.map_or(Ok(Simulation::DEFAULT_SEED), str::parse);
                let seed = seed.map_err(|_| SourceSpecError::Seed(text.to_owned()))?;
                Kind::Sim(options.sim_rate(Simulation::default().seed(seed))?)
            }
            ("stdin", None) => Kind::Stdin(options.layout()?),
            ("udp", address) => Kind::Udp(
                address
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| SourceSpecError::Address(text.to_owned()))?,
            ),
            ("replay", None | Some("")) => return Err(SourceSpecError::NoFile(text.to_owned())),
            ("replay", Some(path)) => {
                let path = PathBuf::from(path);
                let readable = std::fs::File::open(&path).and_then(|file| file.metadata());
                match readable {
                    Ok(file) if file.is_dir() => return Err(options.file(&path, "is a directory")),
                    Ok(_) => {}
                    Err(error) => return Err(options.file(&path, &error.to_string())),
                }
                let (layout, pacing) = (options.layout()?, options.pacing()?);
                Kind::Replay(
                    Replay::new(path)
                        .layout(layout)
                        .pacing(pacing)
                        .repeat(options.flag("loop")?),
                )
            }
            (other, symbols) => match Venue::named(other) {
                Some(venue) => Kind::Exchange(ExchangeSpec::parse(
                    venue,
                    symbols.unwrap_or_default(),
                    &mut options,
                )?),
                None => return Err(SourceSpecError::Unknown(text.to_owned())),
            },
        };
        let standard = SourceOptions::default();
        let rules = standard
            .allow_late(options.flag("allow_late")?)
            .drop_unchanged(options.drop_unchanged()?)
            .max_ahead(
                options
                    .max_ahead()?
                    .map_or(standard.max_ahead, |ahead| ahead.0),
            );
        let rename = Rename {
            prefix: options.take("prefix").unwrap_or_default(),
            map: HashMap::new(),
        };
        let stale_after = options.stale_after()?;
        let label = options.name()?.unwrap_or_else(|| kind.name(head));
        options.end(kind.option_names())?;
        Ok(Some(Self {
            name: label.clone(),
            label,
            kind,
            options: rules,
            rename,
            stale_after,
            paused: false,
        }))
    }

    /// Checks whether the two sources are equal, apart from the number in the name.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self {
            name: other.name.clone(),
            ..self.clone()
        } == *other
    }

    /// Returns the local names of the symbols, if the source lists its symbols.
    pub(crate) fn listed(&self) -> Vec<Symbol> {
        match &self.kind {
            Kind::Exchange(exchange) => exchange
                .names(&self.rename)
                .map(|names| names.local().collect())
                .unwrap_or_default(),
            Kind::Sim(_) | Kind::Replay(_) | Kind::Stdin(_) | Kind::Udp(_) => Vec::new(),
        }
    }

    /// Checks the rules that need the complete source.
    fn check(&self, text: &str) -> Result<(), SourceSpecError> {
        if let Kind::Exchange(exchange) = &self.kind {
            exchange.check(&self.rename, text)?;
        }
        Ok(())
    }

    /// Checks whether the prices are simulated.
    pub(crate) const fn is_simulated(&self) -> bool {
        matches!(self.kind, Kind::Sim(_))
    }

    /// Reads a `[[source]]` table. The keys of the table override the options in its `from`.
    pub(crate) fn from_table(table: SourceTable) -> Result<Option<Self>, SourceSpecError> {
        let from = table.whole();
        let Some(mut spec) = Self::read(&from)? else {
            return Ok(None);
        };
        spec.rename.map = spec.kind.keys(table.map);
        spec.rename.prefix = table.prefix.unwrap_or(spec.rename.prefix);
        spec.stale_after = table.stale_after.or(spec.stale_after);
        spec.options.max_ahead = table
            .max_ahead
            .map_or(spec.options.max_ahead, |ahead| ahead.0);
        spec.options.allow_late = table.allow_late.unwrap_or(spec.options.allow_late);
        if let Some(unchanged) = table.unchanged {
            let mut options = Options::parse(&table.from, "");
            options
                .pairs
                .push(("unchanged".to_owned(), Some(unchanged)));
            spec.options.drop_unchanged = options.drop_unchanged()?;
        }
        if let Some(name) = table.name {
            spec.label = options::name(&table.from, name)?;
            spec.name.clone_from(&spec.label);
        }
        if let Some(url) = table.url {
            let Kind::Exchange(exchange) = &mut spec.kind else {
                return Err(SourceSpecError::NotExchange(table.from, "url"));
            };
            exchange.url = exchange::url(&Options::parse(&table.from, ""), &url)?;
        }
        spec.paused = table.paused;
        spec.check(&table.from)?;
        Ok(Some(spec))
    }
}

impl SourceTable {
    /// Formats the whole table in the form of a flag, for people to read.
    pub(crate) fn written(&self) -> String {
        // Every field is named here, so that a new key cannot be forgotten.
        let Self {
            from: _,
            symbols: _,
            map,
            prefix,
            allow_late,
            unchanged,
            stale_after,
            max_ahead,
            name,
            url,
            paused,
        } = self;
        let whole = self.whole();
        let (head, options) = whole.split_once('?').unwrap_or((&whole, ""));
        let mut said: Vec<_> = options
            .split('&')
            .filter(|option| !option.is_empty())
            .map(str::to_owned)
            .collect();
        let keys = [
            ("name", name.clone()),
            ("prefix", prefix.clone()),
            ("url", url.clone()),
            ("unchanged", unchanged.clone()),
            ("allow_late", allow_late.map(|allow| allow.to_string())),
            ("max_ahead", max_ahead.map(|span| span.to_string())),
            ("stale_after", stale_after.map(|span| span.to_string())),
            ("paused", paused.then(|| "true".to_owned())),
        ];
        said.extend(
            keys.into_iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", value?))),
        );
        let map = std::collections::BTreeMap::from_iter(map);
        said.extend(
            map.into_iter()
                .map(|(theirs, ours)| format!("map.{theirs}={ours}")),
        );
        if said.is_empty() {
            head.to_owned()
        } else {
            format!("{head}?{}", said.join("&"))
        }
    }

    /// Returns `from`, with the table's own list of symbols, if any, as a part of `from`.
    fn whole(&self) -> String {
        if self.symbols.is_empty() {
            return self.from.clone();
        }
        let (head, options) = self.from.split_once('?').unwrap_or((&self.from, ""));
        let between = if head.contains(':') { "," } else { ":" };
        format!("{head}{between}{}?{options}", self.symbols.join(","))
    }
}

/// Adds numbers to the names of sources with the same label.
pub(crate) fn make_names_unique(specs: &mut [SourceSpec]) {
    let mut taken = HashSet::new();
    for spec in specs {
        spec.name = free_name(&spec.label, &taken);
        taken.insert(spec.name.clone());
    }
}

/// Returns the label, or the label with the first number that makes a free name.
pub(super) fn free_name(label: &str, taken: &HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{label}#{number}"));
    let mut names = std::iter::once(label.to_owned()).chain(numbered);
    names
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| unreachable!("numbers have no end"))
}

#[cfg(test)]
mod tests {
    use tickcast_feeds::replay::Pacing;

    use super::*;

    fn parse(text: &str) -> SourceSpec {
        SourceSpec::parse(text).unwrap().unwrap()
    }

    fn says(text: &str) -> String {
        SourceSpec::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_form_is_parsed() {
        assert_eq!(parse("sim").kind, Kind::Sim(Simulation::default()));
        let simulation = Simulation::default().seed(7).rate(5000.0).unwrap();
        assert_eq!(parse("sim:7?rate=5000").kind, Kind::Sim(simulation));
        assert_eq!(
            parse("stdin?prefix=X:&unchanged=drop&allow_late").options,
            SourceOptions::default()
                .allow_late(true)
                .drop_unchanged(true)
        );
        assert_eq!(SourceSpec::parse("none"), Ok(None));
        let binance = parse(
            "binance:btcusdt=BTC/USD,ETHUSDT?channel=bookTicker&url=ws://127.0.0.1:9100&prefix=B:",
        );
        let Kind::Exchange(exchange) = &binance.kind else {
            panic!()
        };
        assert_eq!(
            (binance.name.as_str(), exchange.url.to_string()),
            ("binance", "ws://127.0.0.1:9100/".to_owned())
        );
        let names = exchange.names(&binance.rename).unwrap();
        assert_eq!(names.symbol("BTCUSDT").unwrap().as_str(), "BTC/USD");
        assert_eq!(names.symbol("ETHUSDT").unwrap().as_str(), "B:ETHUSDT");
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_path_buf();
        let replay = parse(&format!("replay:{}?speed=max&loop", path.display()));
        assert_eq!(
            replay.kind,
            Kind::Replay(Replay::new(path).pacing(Pacing::MAX).repeat(true))
        );
        let layout = Layout {
            columns: Some("time,price".parse().unwrap()),
            symbol: Some(Symbol::new("XBT/USD").unwrap()),
        };
        assert_eq!(
            parse("stdin?columns=time,price&symbol=XBT/USD").kind,
            Kind::Stdin(layout)
        );
    }

    #[test]
    fn each_refusal_names_the_source_and_the_reason() {
        assert_eq!(
            says("bitmex:x"),
            "source \"bitmex:x\": the kind is unknown (expected sim[:SEED], replay:FILE, stdin, udp:IP:PORT, binance:SYMBOLS, coinbase:PRODUCTS, coinbase-advanced:PRODUCTS, kraken:SYMBOLS or none)"
        );
        assert_eq!(
            says("sim:x"),
            "source \"sim:x\": the seed is not a whole number (expected a source such as sim:42)"
        );
        assert_eq!(
            says("sim?rate=0"),
            "source \"sim?rate=0\": rate cannot be \"0\" (expected 1 to 100000 ticks per second)"
        );
        assert_eq!(
            says("stdin?x=1"),
            "source \"stdin?x=1\": option \"x\" is unknown (known options: columns, symbol, prefix, allow_late, unchanged, stale_after, max_ahead and name)"
        );
        assert_eq!(
            says("stdin?columns=time,price"),
            "source \"stdin?columns=time,price\": columns: column symbol is missing"
        );
        assert!(says("stdin?symbol=a%20b").contains("symbol holds '%'"));
        assert_eq!(
            says("replay:"),
            "source \"replay:\": the file is missing (expected a source such as replay:ticks.ndjson.gz)"
        );
        assert_eq!(
            says("stdin?stale_after=soon"),
            "source \"stdin?stale_after=soon\": stale_after cannot be \"soon\" (expected a time, such as 30s, or 0s for never)"
        );
        assert!(
            says("replay:/no/such")
                .starts_with("source \"replay:/no/such\": /no/such: No such file")
        );
        assert!(says("replay:/?speed=max").ends_with("/: is a directory"));
        assert_eq!(
            says("kraken"),
            "source \"kraken\": symbols are missing (expected a source such as kraken:BTC/USD,ETH/USD)"
        );
        assert_eq!(
            says("kraken:A,A"),
            "source \"kraken:A,A\": symbol \"A\" appears twice"
        );
        assert_eq!(
            says("binance:x?channel=trades"),
            "source \"binance:x?channel=trades\": channel cannot be \"trades\" (expected ticker, bookTicker, aggTrade or trade)"
        );
        assert_eq!(
            says("coinbase:x?url=http://a"),
            "source \"coinbase:x?url=http://a\": url cannot be \"http://a\" (expected ws://HOST or wss://HOST)"
        );
        let many: Vec<_> = (0..1025).map(|i| format!("s{i}")).collect();
        assert!(says(&format!("binance:{}", many.join(","))).contains(
            "1025 symbols are too many for one connection to binance (expected at most 1024)"
        ));
    }

    #[test]
    fn a_map_uses_the_names_of_the_exchange() {
        let map = HashMap::from([
            ("btcusdt".to_owned(), "BTC/USD".to_owned()),
            ("币安USDT".to_owned(), "BNB".to_owned()),
        ]);
        let read = |from: &str, map| {
            let table = SourceTable {
                from: from.to_owned(),
                map,
                ..SourceTable::default()
            };
            SourceSpec::from_table(table)
        };
        let spec = read("binance:btcusdt,币安usdt", map).unwrap().unwrap();
        assert_eq!(
            spec.listed(),
            ["BTC/USD", "BNB"].map(|name| Symbol::new(name).unwrap())
        );
        let refused = read("binance:币安usdt", HashMap::new())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("as in 币安USDT=NAME, or a map: symbol holds '币'"),
            "{refused}"
        );
        assert_eq!(
            parse("binance:币安usdt=BNB").listed(),
            [Symbol::new("BNB").unwrap()]
        );
        assert!(says("binance:=BNB").ends_with("a symbol is missing"));
    }
}
