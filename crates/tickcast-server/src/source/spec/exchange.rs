//! The text form of an exchange as a source.

use std::time::Duration;

use tickcast::Publisher;
use tickcast_feeds::{
    Advanced, Binance, BinanceStream, Coinbase, CoinbaseChannel, DEFAULT_PRICE_TIMEOUT, Exchange,
    Feed, Kraken, KrakenChannel, Rename, SymbolMap, Uri,
};

use super::SourceSpecError;
use super::options::Options;

/// An exchange, with its symbols and options.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExchangeSpec {
    pub(crate) venue: Venue,
    pub(crate) url: Uri,
    silence: Duration,
    /// The exchange's name of each symbol, and the configured local name.
    symbols: Vec<(String, Option<String>)>,
}

/// An exchange and the selected channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Venue {
    Binance(BinanceStream),
    Coinbase(CoinbaseChannel),
    Advanced,
    Kraken(KrakenChannel),
}

impl Venue {
    /// Returns the exchange of this name, with its default channel.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "binance" => Self::Binance(BinanceStream::Ticker),
            "coinbase" => Self::Coinbase(CoinbaseChannel::Ticker),
            "coinbase-advanced" => Self::Advanced,
            "kraken" => Self::Kraken(KrakenChannel::Ticker),
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Binance(_) => "binance",
            Self::Coinbase(_) => "coinbase",
            Self::Advanced => "coinbase-advanced",
            Self::Kraken(_) => "kraken",
        }
    }

    const fn url(self) -> &'static str {
        match self {
            Self::Binance(_) => Binance::URL,
            Self::Coinbase(_) => Coinbase::URL,
            Self::Advanced => Advanced::URL,
            Self::Kraken(_) => Kraken::URL,
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Binance(_) => "binance:btcusdt,ethusdt",
            Self::Coinbase(_) => "coinbase:BTC-USD,ETH-USD",
            Self::Advanced => "coinbase-advanced:BTC-USD,ETH-USD",
            Self::Kraken(_) => "kraken:BTC/USD,ETH/USD",
        }
    }

    /// Returns a symbol in the form that the exchange uses beside a price. Binance names streams in
    /// lower case, and prices in upper case.
    pub(super) fn canonical_symbol(self, symbol: &str) -> String {
        match self {
            Self::Binance(_) => symbol.to_uppercase(),
            Self::Coinbase(_) | Self::Advanced | Self::Kraken(_) => symbol.to_owned(),
        }
    }

    pub(super) const fn options(self) -> &'static str {
        match self {
            Self::Advanced => {
                "url, silence, prefix, allow_late, unchanged, stale_after, max_ahead and name"
            }
            Self::Binance(_) | Self::Coinbase(_) | Self::Kraken(_) => {
                "channel, url, silence, prefix, allow_late, unchanged, stale_after, max_ahead and name"
            }
        }
    }

    /// Returns the same exchange with the channel of this name.
    fn channel(self, name: &str) -> Result<Self, &'static str> {
        match self {
            Self::Binance(_) => {
                let stream = BinanceStream::ALL
                    .into_iter()
                    .find(|stream| stream.name().eq_ignore_ascii_case(name));
                stream
                    .map(Self::Binance)
                    .ok_or("ticker, bookTicker, aggTrade or trade")
            }
            Self::Coinbase(_) => {
                let channel = CoinbaseChannel::ALL
                    .into_iter()
                    .find(|channel| channel.name() == name);
                channel
                    .map(Self::Coinbase)
                    .ok_or("ticker, ticker_batch or matches")
            }
            Self::Kraken(_) => match name {
                "ticker" => Ok(Self::Kraken(KrakenChannel::Ticker)),
                "trade" => Ok(Self::Kraken(KrakenChannel::Trade)),
                _ => Err("ticker or trade"),
            },
            Self::Advanced => Ok(self),
        }
    }
}

impl ExchangeSpec {
    /// Parses `SYMBOL[=NAME],…` and the options that only exchanges have.
    pub(super) fn parse(
        venue: Venue,
        symbols: &str,
        options: &mut Options<'_>,
    ) -> Result<Self, SourceSpecError> {
        let listed = symbols
            .split(',')
            .map(str::trim)
            .filter(|symbol| !symbol.is_empty());
        let symbols: Vec<_> = listed
            .map(|symbol| {
                let (theirs, ours) = symbol
                    .split_once('=')
                    .map_or((symbol, None), |(theirs, ours)| {
                        (theirs, Some(ours.to_owned()))
                    });
                (venue.canonical_symbol(theirs), ours)
            })
            .collect();
        if symbols.is_empty() {
            return Err(SourceSpecError::NoSymbols(
                options.source.to_owned(),
                venue.example(),
            ));
        }
        let channel = if venue == Venue::Advanced {
            None
        } else {
            options.take("channel")
        };
        let venue = match channel {
            Some(name) => venue
                .channel(&name)
                .map_err(|known| options.value("channel", &name, known))?,
            None => venue,
        };
        let address = options.take("url");
        let url = url(options, address.as_deref().unwrap_or(venue.url()))?;
        let silence = options.silence()?.unwrap_or(DEFAULT_PRICE_TIMEOUT);
        Ok(Self {
            venue,
            url,
            silence,
            symbols,
        })
    }

    /// Returns the exchange's names and the local names of the symbols.
    pub(crate) fn names(
        &self,
        rename: &Rename,
    ) -> Result<SymbolMap, tickcast_feeds::SymbolMapError> {
        SymbolMap::new(self.symbols.iter().map(|(theirs, ours)| {
            let ours = ours.clone().or_else(|| rename.name(theirs));
            (theirs.clone(), ours)
        }))
    }

    pub(super) fn check(&self, rename: &Rename, text: &str) -> Result<(), SourceSpecError> {
        let names = self
            .names(rename)
            .map_err(|error| SourceSpecError::Names(text.to_owned(), error))?;
        let most = self.exchange(names).limits().symbols;
        if self.symbols.len() > most {
            return Err(SourceSpecError::TooMany(
                text.to_owned(),
                self.symbols.len(),
                self.venue.name(),
                most,
            ));
        }
        Ok(())
    }

    /// Creates the feed that receives the prices of the exchange.
    pub(crate) fn feed(
        &self,
        rename: &Rename,
        publisher: Publisher,
    ) -> Result<Feed, tickcast_feeds::SymbolMapError> {
        let names = self.names(rename)?;
        let exchange = self.exchange(names.clone());
        Ok(Feed::new(exchange, self.url.clone(), names, publisher).price_timeout(self.silence))
    }

    fn exchange(&self, names: SymbolMap) -> Box<dyn Exchange> {
        match self.venue {
            Venue::Binance(stream) => Box::new(Binance::new(names, stream)),
            Venue::Coinbase(channel) => Box::new(Coinbase::new(names, channel)),
            Venue::Advanced => Box::new(Advanced::new(names)),
            Venue::Kraken(KrakenChannel::Ticker) => Box::new(Kraken::ticker(names)),
            Venue::Kraken(KrakenChannel::Trade) => Box::new(Kraken::trade(names)),
        }
    }
}

/// Parses the address of an exchange, of a gateway to an exchange, or of a compatible server.
pub(super) fn url(options: &Options<'_>, text: &str) -> Result<Uri, SourceSpecError> {
    let url = text.parse::<Uri>().ok();
    let url = url.filter(|url| {
        matches!(url.scheme_str(), Some("ws" | "wss"))
            && url.host().is_some_and(|host| !host.is_empty())
    });
    url.ok_or_else(|| options.value("url", text, "ws://HOST or wss://HOST"))
}
