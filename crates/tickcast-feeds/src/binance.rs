//! Binance: combined streams, as documented in 2026-07 for Spot. The decoder also understands the
//! known messages of Futures.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickcast::Tick;

use crate::exchange::{
    DecodeError, Exchange, ExchangeLimits, ExchangeProtocol, FeedEvent, FeedPrice, Kind, Sequence,
};
use crate::names::SymbolMap;
use crate::wire::{Extras, Field, excerpt, trade_number, when_counted};

/// Maximum number of streams in one request. The resulting message is far below any length limit.
const MAX_SYMBOLS_PER_REQUEST: usize = 200;

/// The stream to subscribe to for each symbol. Pass it to [`Binance::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinanceStream {
    /// Last price, best bid and ask, and the rolling 24 h change: once per second.
    Ticker,
    /// Best bid and ask, on every change. The price is the midpoint.
    BookTicker,
    /// Trades. The trades of one order are aggregated.
    AggTrade,
    /// Single trades.
    Trade,
}

impl BinanceStream {
    /// All streams.
    pub const ALL: [Self; 4] = [Self::Ticker, Self::BookTicker, Self::AggTrade, Self::Trade];

    /// Returns the exchange's name of the stream, for example `bookTicker`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::BookTicker => "bookTicker",
            Self::AggTrade => "aggTrade",
            Self::Trade => "trade",
        }
    }
}

/// The exchange Binance Spot. Made by [`Binance::new`]. Pass it to [`Feed::new`](crate::Feed::new).
#[derive(Debug, Clone)]
pub struct Binance {
    names: SymbolMap,
    stream: BinanceStream,
}

impl Binance {
    /// The URL of the exchange: `wss://stream.binance.com:9443`.
    pub const URL: &'static str = "wss://stream.binance.com:9443";

    /// Creates the exchange with this stream of these symbols. Symbols are in upper case, such as
    /// `BTCUSDT`.
    #[must_use]
    pub const fn new(names: SymbolMap, stream: BinanceStream) -> Self {
        Self { names, stream }
    }
}

impl Exchange for Binance {
    fn limits(&self) -> ExchangeLimits {
        ExchangeLimits {
            // The exchange allows 300 connections in five minutes.
            connect_interval: Duration::from_millis(1_200),
            // The exchange allows five messages per second, including pongs.
            send_interval: Duration::from_millis(300),
            // The exchange sends a ping every 20 s.
            heartbeat_timeout: Duration::from_secs(60),
            // The exchange cuts a connection after 24 h.
            max_connection_age: Some(Duration::from_secs(23 * 3600 + 1800)),
            symbols: 1024,
        }
    }

    fn path(&self) -> &'static str {
        "/stream"
    }

    fn elsewhere(&self) -> Option<&'static str> {
        Some("wss://data-stream.binance.vision")
    }

    fn new_connection(&self) -> Box<dyn ExchangeProtocol> {
        Box::new(self.clone())
    }
}

/// The envelope of every message in a combined stream. Responses have no envelope.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    msg: Option<Cow<'a, str>>,
    error: Option<Refusal<'a>>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    msg: Cow<'a, str>,
}

/// The kind of a message. A message with an update id and no name is a `bookTicker`. Only Futures
/// name this message.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    u: Option<u64>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(rename = "E")]
    time: Option<Field<'a>>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    c: Field<'a>,
    p: Option<Field<'a>>,
    #[serde(rename = "Q")]
    size: Option<Field<'a>>,
    b: Option<Field<'a>>,
    #[serde(rename = "B")]
    bid_size: Option<Field<'a>>,
    a: Option<Field<'a>>,
    #[serde(rename = "A")]
    ask_size: Option<Field<'a>>,
    h: Option<Field<'a>>,
    l: Option<Field<'a>>,
    v: Option<Field<'a>>,
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    u: u64,
    /// The time of the event. Spot sends none.
    #[serde(rename = "T")]
    time: Option<Field<'a>>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    b: Field<'a>,
    #[serde(rename = "B")]
    bid_size: Option<Field<'a>>,
    a: Field<'a>,
    #[serde(rename = "A")]
    ask_size: Option<Field<'a>>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(rename = "T")]
    time: Option<Field<'a>>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    /// The number of an `aggTrade`.
    a: Option<Field<'a>>,
    /// The number of a `trade`.
    t: Option<Field<'a>>,
    p: Field<'a>,
    q: Option<Field<'a>>,
    m: Option<Field<'a>>,
}

impl ExchangeProtocol for Binance {
    fn open(&mut self) -> Vec<String> {
        let streams: Vec<_> = self
            .names
            .venue_names()
            .map(|name| format!("{}@{}", name.to_lowercase(), self.stream.name()))
            .collect();
        let messages = streams.chunks(MAX_SYMBOLS_PER_REQUEST).zip(1..);
        messages
            .map(|(params, id)| {
                serde_json::json!({ "method": "SUBSCRIBE", "params": params, "id": id }).to_string()
            })
            .collect()
    }

    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError> {
        let envelope: Envelope<'_> = serde_json::from_str(frame)?;
        if let Some(says) = envelope.error.map(|error| error.msg).or(envelope.msg) {
            heard.push(FeedEvent::Failed(format!(
                "the exchange refuses: {}",
                excerpt(&says)
            )));
            return Ok(());
        }
        if envelope.id.is_some() && envelope.data.is_none() {
            heard.push(FeedEvent::Nothing);
            return Ok(());
        }
        let data = envelope.data.map_or(frame, RawValue::get);
        let head: Head<'_> = serde_json::from_str(data)?;
        let said = match (head.e.as_deref(), head.u) {
            (Some("24hrTicker"), _) => {
                FeedEvent::from_print(self.ticker(&serde_json::from_str(data)?, heard))
            }
            (Some("aggTrade"), _) => {
                let trade: Trade<'_> = serde_json::from_str(data)?;
                FeedEvent::from_print(self.trade(&trade, trade.a, heard))
            }
            (Some("trade"), _) if self.stream == BinanceStream::Trade => {
                let trade: Trade<'_> = serde_json::from_str(data)?;
                FeedEvent::from_print(self.trade(&trade, trade.t, heard))
            }
            (None | Some("bookTicker"), Some(_)) => {
                FeedEvent::from_print(self.quote(&serde_json::from_str(data)?, heard))
            }
            (Some("serverShutdown"), _) => FeedEvent::GoingAway,
            (Some("depthUpdate" | "kline" | "24hrMiniTicker" | "trade" | "avgPrice"), _) => {
                FeedEvent::Nothing
            }
            (Some(other), _) => FeedEvent::Unknown(excerpt(other)),
            (None, None) => FeedEvent::Unknown(excerpt(
                envelope
                    .stream
                    .as_deref()
                    .unwrap_or("a frame without a name"),
            )),
        };
        heard.push(said);
        Ok(())
    }
}

impl Binance {
    fn ticker(
        &self,
        ticker: &Ticker<'_>,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(price) = ticker.c.quoted("c")? else {
            return Ok(None);
        };
        let mut tick = Tick::new(self.names.asked_for(&ticker.s)?, price);
        let mut beside = Extras::new(&mut tick, heard);
        beside.change(ticker.p.map(|change| change.value("p")).transpose());
        beside.decimals(&[
            ("bid", ticker.b),
            ("bid_size", ticker.bid_size),
            ("ask", ticker.a),
            ("ask_size", ticker.ask_size),
            ("size", ticker.size),
            ("high", ticker.h),
            ("low", ticker.l),
            ("volume", ticker.v),
        ]);
        let (when, place) = when_counted(ticker.time);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Ticker,
            place: Sequence::Time(place),
            snapshot: false,
        }))
    }

    fn quote(
        &self,
        quote: &BookTicker<'_>,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let (Some(bid), Some(ask)) = (quote.b.quoted("b")?, quote.a.quoted("a")?) else {
            return Ok(None);
        };
        let middle = bid
            .middle(ask)
            .ok_or_else(|| DecodeError("b and a have too many digits".to_owned()))?;
        let mut tick = Tick::new(self.names.asked_for(&quote.s)?, middle);
        Extras::new(&mut tick, heard).decimals(&[
            ("bid", Some(quote.b)),
            ("bid_size", quote.bid_size),
            ("ask", Some(quote.a)),
            ("ask_size", quote.ask_size),
        ]);
        let (when, _) = when_counted(quote.time);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Quote,
            place: Sequence::Rising(quote.u),
            snapshot: false,
        }))
    }

    fn trade(
        &self,
        trade: &Trade<'_>,
        number: Option<Field<'_>>,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(price) = trade.p.quoted("p")? else {
            return Ok(None);
        };
        let number = trade_number(number, "the trade number")?;
        let mut tick = Tick::new(self.names.asked_for(&trade.s)?, price);
        let mut beside = Extras::new(&mut tick, heard);
        beside.decimals(&[("size", trade.q)]);
        // If the buyer was the maker, the seller was the taker.
        beside.side(
            trade
                .m
                .map(|buyer_made| buyer_made.flag("m").map(|made| !made))
                .transpose(),
        );
        beside.trade_id(number);
        let (when, _) = when_counted(trade.time);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Trade,
            place: Sequence::Each(number),
            snapshot: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventTime;

    fn hear(frame: &str) -> Result<FeedEvent, DecodeError> {
        let names = SymbolMap::new([("BTCUSDT".to_owned(), Some("BTC/USD".to_owned()))]).unwrap();
        let mut heard = Vec::new();
        Binance::new(names, BinanceStream::Trade).on_text(frame, &mut heard)?;
        Ok(heard.pop().unwrap())
    }

    fn print(frame: &str) -> FeedPrice {
        match hear(frame) {
            Ok(FeedEvent::Price(print)) => *print,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_stream_is_decoded() {
        let ticker = print(
            r#"{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1782907200123,"s":"BTCUSDT","p":"-640.00000000",
            "P":"1.000","c":"64640.00000000","Q":"0.01","b":"64639.99000000","B":"1.5","a":"0.00000000","A":"0.0",
            "h":"64900.0","l":"63550.0","v":"18250.123"}}"#,
        );
        assert_eq!(
            (
                ticker.tick.symbol.as_str(),
                ticker.tick.price.to_string().as_str()
            ),
            ("BTC/USD", "64640.00000000")
        );
        assert_eq!(ticker.tick.change.unwrap().to_string(), "-640.00000000");
        assert_eq!(ticker.when, EventTime::At(1_782_907_200_123));
        assert_eq!(
            std::str::from_utf8(ticker.tick.extras.as_json()).unwrap(),
            r#","change_basis":"24h","bid":64639.99000000,"bid_size":1.5,"size":0.01,"high":64900.0,"low":63550.0,"volume":18250.123"#
        );
        let quote = print(
            r#"{"stream":"btcusdt@bookTicker","data":{"u":7,"s":"BTCUSDT","b":"1.00","B":"2","a":"1.01","A":"3"}}"#,
        );
        assert_eq!(
            (quote.tick.price.to_string().as_str(), quote.place),
            ("1.005", Sequence::Rising(7))
        );
        let trade = print(
            r#"{"e":"aggTrade","E":1,"s":"BTCUSDT","a":9,"p":"1e-7","q":"4","f":1,"l":2,"T":5,"m":true,"M":true}"#,
        );
        assert_eq!(
            (trade.tick.price.to_string().as_str(), trade.place),
            ("0.0000001", Sequence::Each(9))
        );
        assert_eq!(
            trade.tick.extras.as_json(),
            br#","size":4,"side":"sell","trade_id":9"#
        );
        let trade = print(
            r#"{"e":"trade","E":1782907200124,"s":"BTCUSDT","t":12,"a":7,"b":8,"p":"2","q":"4","T":1782907200123,"m":false}"#,
        );
        assert_eq!(
            (trade.when, trade.place),
            (EventTime::At(1_782_907_200_123), Sequence::Each(12))
        );
    }

    #[test]
    fn a_futures_quote_has_a_name_and_a_time() {
        let quote = print(
            r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":4,"s":"BTCUSDT","b":"0.50","B":"5","a":"0.51","A":"7",
            "T":1782907200123,"E":1782907200124}}"#,
        );
        assert_eq!(
            (quote.tick.price.to_string().as_str(), quote.place),
            ("0.505", Sequence::Rising(4))
        );
        assert_eq!(quote.when, EventTime::At(1_782_907_200_123));
    }

    #[test]
    fn times_may_be_in_microseconds() {
        let trade = print(r#"{"e":"aggTrade","s":"BTCUSDT","a":9,"p":"1","T":1782907200123456}"#);
        assert_eq!(trade.when, EventTime::At(1_782_907_200_123));
        let ticker = print(r#"{"e":"24hrTicker","E":1782907200123456,"s":"BTCUSDT","c":"1"}"#);
        assert_eq!(
            (ticker.when, ticker.place),
            (
                EventTime::At(1_782_907_200_123),
                Sequence::Time(1_782_907_200_123_456)
            )
        );
    }

    #[test]
    fn an_invalid_extra_field_does_not_discard_the_price() {
        let ticker = print(
            r#"{"e":"24hrTicker","E":"soon","s":"BTCUSDT","p":"","c":"1.50","b":"-1","a":"1.6","A":"","h":"NaN","l":{},"v":null}"#,
        );
        assert_eq!(
            (ticker.tick.price.to_string().as_str(), ticker.tick.change),
            ("1.50", None)
        );
        assert_eq!(
            (ticker.tick.extras.as_json(), ticker.when),
            (&br#","ask":1.6"#[..], EventTime::Unreadable)
        );
        let trade =
            print(r#"{"e":"aggTrade","s":"BTCUSDT","a":9,"p":"1","q":[],"m":"perhaps","T":1}"#);
        assert_eq!(trade.tick.extras.as_json(), br#","trade_id":9"#);
    }

    #[test]
    fn messages_without_a_price_produce_no_price() {
        let heard = |frame| format!("{:?}", hear(frame));
        assert_eq!(heard(r#"{"result":null,"id":1}"#), "Ok(Nothing)");
        assert_eq!(
            heard(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#),
            "Ok(GoingAway)"
        );
        assert_eq!(heard(r#"{"e":"news"}"#), "Ok(Unknown(\"news\"))");
        assert_eq!(
            heard(r#"{"u":7,"s":"BTCUSDT","b":"0.0","a":"1"}"#),
            "Ok(NoQuote)"
        );
        for refusal in [
            r#"{"code":3,"msg":"Invalid JSON"}"#,
            r#"{"error":{"code":4,"msg":"Invalid JSON"},"id":1}"#,
        ] {
            assert_eq!(
                heard(refusal),
                "Ok(Failed(\"the exchange refuses: Invalid JSON\"))"
            );
        }
        for garbled in [
            r#"{"u":7,"s":"BTCUSDT","b":"-1","a":"1"}"#,
            r#"{"u":7,"s":"ETHUSDT","b":"1","a":"1"}"#,
        ] {
            assert!(
                heard(garbled).starts_with("Ok(Undecodable("),
                "{}",
                heard(garbled)
            );
        }
        assert!(hear("{").is_err() && hear(r#"{"e":"aggTrade"}"#).is_err());
    }
}
