//! Kraken's WebSocket API, version 2: tickers and trades.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tickcast::Tick;

use crate::exchange::{
    DecodeError, Exchange, ExchangeLimits, ExchangeProtocol, FeedEvent, FeedPrice, Kind, Sequence,
};
use crate::names::SymbolMap;
use crate::wire::{Extras, Field, each, excerpt, trade_number, when_written};

/// The channel to subscribe to for each symbol. [`Kraken::ticker`] and [`Kraken::trade`] choose
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KrakenChannel {
    /// Last price, rolling 24 h change, and best bid and ask: on each change of these values.
    Ticker,
    /// Trades.
    Trade,
}

/// The exchange Kraken. Made by [`Kraken::ticker`] and [`Kraken::trade`]. Pass it to
/// [`Feed::new`](crate::Feed::new).
#[derive(Debug, Clone)]
pub struct Kraken {
    names: SymbolMap,
    channel: KrakenChannel,
}

impl Kraken {
    /// The URL of the exchange: `wss://ws.kraken.com/v2`.
    pub const URL: &'static str = "wss://ws.kraken.com/v2";

    /// Creates the exchange with the tickers of these symbols, such as `BTC/USD`.
    #[must_use]
    pub const fn ticker(names: SymbolMap) -> Self {
        Self {
            names,
            channel: KrakenChannel::Ticker,
        }
    }

    /// Creates the exchange with the trades of these symbols.
    #[must_use]
    pub const fn trade(names: SymbolMap) -> Self {
        Self {
            names,
            channel: KrakenChannel::Trade,
        }
    }
}

impl Exchange for Kraken {
    fn limits(&self) -> ExchangeLimits {
        ExchangeLimits {
            // The exchange allows about 150 connections in ten minutes.
            connect_interval: Duration::from_secs(5),
            send_interval: Duration::from_millis(250),
            // The exchange sends one heartbeat per second when no other message flows.
            heartbeat_timeout: Duration::from_secs(10),
            max_connection_age: None,
            symbols: 1000,
        }
    }

    fn path(&self) -> &'static str {
        "/v2"
    }

    fn new_connection(&self) -> Box<dyn ExchangeProtocol> {
        Box::new(self.clone())
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(rename = "type")]
    kind: Option<Cow<'a, str>>,
    data: Option<&'a RawValue>,
    method: Option<Cow<'a, str>>,
    success: Option<bool>,
    error: Option<Cow<'a, str>>,
    symbol: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    system: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    last: Field<'a>,
    change: Option<Field<'a>>,
    bid: Option<Field<'a>>,
    bid_qty: Option<Field<'a>>,
    ask: Option<Field<'a>>,
    ask_qty: Option<Field<'a>>,
    high: Option<Field<'a>>,
    low: Option<Field<'a>>,
    volume: Option<Field<'a>>,
    timestamp: Option<Field<'a>>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    side: Option<Field<'a>>,
    price: Field<'a>,
    qty: Option<Field<'a>>,
    trade_id: Field<'a>,
    timestamp: Option<Field<'a>>,
}

impl ExchangeProtocol for Kraken {
    fn open(&mut self) -> Vec<String> {
        let names: Vec<_> = self.names.venue_names().collect();
        let lists = names.chunks(100).map(|symbols| match self.channel {
            KrakenChannel::Ticker => {
                json!({ "channel": "ticker", "symbol": symbols, "event_trigger": "bbo" })
            }
            KrakenChannel::Trade => {
                json!({ "channel": "trade", "symbol": symbols, "snapshot": true })
            }
        });
        lists
            .map(|params| json!({ "method": "subscribe", "params": params }).to_string())
            .collect()
    }

    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError> {
        let frame: Frame<'_> = serde_json::from_str(frame)?;
        let snapshot = frame.kind.as_deref() == Some("snapshot");
        match (frame.channel.as_deref(), frame.method.as_deref()) {
            (Some("ticker"), _) => {
                for ticker in &each::<Ticker<'_>>(frame.data, heard) {
                    let print = self.ticker_print(ticker, snapshot, heard);
                    heard.push(FeedEvent::from_print(print));
                }
            }
            (Some("trade"), _) => {
                let mut trades: Vec<Trade<'_>> = each(frame.data, heard);
                // In a snapshot, the newest trade may be the first.
                trades.sort_by_key(|trade| trade.trade_id.number("trade_id").unwrap_or(0));
                for trade in &trades {
                    let print = self.trade_print(trade, snapshot, heard);
                    heard.push(FeedEvent::from_print(print));
                }
            }
            (Some("status"), _) => {
                let systems: Vec<Status<'_>> = each(frame.data, heard);
                heard.push(systems.last().map_or(FeedEvent::Nothing, |status| {
                    self.system_status(&status.system)
                }));
            }
            (Some("heartbeat" | "instrument" | "book" | "ohlc"), _) | (None, Some("pong")) => {
                heard.push(FeedEvent::Nothing);
            }
            (None, Some("subscribe")) => heard.push(self.answer(&frame)),
            (other, _) => {
                heard.push(FeedEvent::Unknown(excerpt(
                    other.unwrap_or("a frame without a channel"),
                )));
            }
        }
        Ok(())
    }
}

impl Kraken {
    /// Returns the event for the exchange's system status. Orders may still move bid and ask while
    /// the exchange matches no orders.
    fn system_status(&self, system: &str) -> FeedEvent {
        let trades = self.channel == KrakenChannel::Trade;
        match system {
            "maintenance" => FeedEvent::Halted("the exchange reports: maintenance".to_owned()),
            "cancel_only" | "post_only" if trades => {
                FeedEvent::Halted(format!("the exchange reports: {system}"))
            }
            _ => FeedEvent::Open,
        }
    }

    /// Decodes the response to a subscription. The exchange answers each symbol separately.
    fn answer(&self, frame: &Frame<'_>) -> FeedEvent {
        if frame.success != Some(false) {
            return FeedEvent::Nothing;
        }
        let why = format!(
            "the exchange refuses: {}",
            excerpt(frame.error.as_deref().unwrap_or("no reason given"))
        );
        match frame
            .symbol
            .as_deref()
            .and_then(|name| self.names.symbol(name))
        {
            Some(symbol) => FeedEvent::Refused { symbol, why },
            None => FeedEvent::Failed(why),
        }
    }

    fn ticker_print(
        &self,
        ticker: &Ticker<'_>,
        snapshot: bool,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(price) = ticker.last.quoted("last")? else {
            return Ok(None);
        };
        let mut tick = Tick::new(self.names.asked_for(&ticker.symbol)?, price);
        let mut beside = Extras::new(&mut tick, heard);
        beside.change(
            ticker
                .change
                .map(|change| change.value("change"))
                .transpose(),
        );
        beside.decimals(&[
            ("bid", ticker.bid),
            ("bid_size", ticker.bid_qty),
            ("ask", ticker.ask),
            ("ask_size", ticker.ask_qty),
            ("high", ticker.high),
            ("low", ticker.low),
            ("volume", ticker.volume),
        ]);
        let (when, ns) = when_written(ticker.timestamp);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Ticker,
            place: Sequence::Time(ns),
            snapshot,
        }))
    }

    fn trade_print(
        &self,
        trade: &Trade<'_>,
        snapshot: bool,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(price) = trade.price.quoted("price")? else {
            return Ok(None);
        };
        let number = trade_number(Some(trade.trade_id), "trade_id")?;
        let mut tick = Tick::new(self.names.asked_for(&trade.symbol)?, price);
        let mut beside = Extras::new(&mut tick, heard);
        beside.decimals(&[("size", trade.qty)]);
        beside.side(trade.side.map(|side| side.bought("side")).transpose());
        beside.trade_id(number);
        let (when, _) = when_written(trade.timestamp);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Trade,
            place: Sequence::Each(number),
            snapshot,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(frame: &str) -> Vec<FeedEvent> {
        let mut heard = Vec::new();
        Kraken::ticker(SymbolMap::new([("BTC/USD".to_owned(), None)]).unwrap())
            .on_text(frame, &mut heard)
            .unwrap();
        heard
    }

    #[test]
    fn numbers_keep_their_digits() {
        let heard = hear(
            r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":0.0,"bid_qty":0.00000000,"ask":64250.10,
            "ask_qty":1.20000000,"last":6.4250E4,"volume":2310.55510000,"change":-250.10,"change_pct":0.39,
            "timestamp":"2026-07-01T12:00:00.223456Z"}]}"#,
        );
        let [FeedEvent::Price(print)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(print.tick.price.to_string(), "64250");
        assert_eq!(print.tick.change.unwrap().to_string(), "-250.10");
        assert_eq!(print.place, Sequence::Time(1_782_907_200_223_456_000));
        assert_eq!(
            print.tick.extras.as_json(),
            br#","change_basis":"24h","ask":64250.10,"ask_size":1.20000000,"volume":2310.55510000"#
        );
    }

    #[test]
    fn trades_of_a_snapshot_are_sorted_by_number() {
        let trade = |id: u32| {
            format!(
                r#"{{"symbol":"BTC/USD","side":"buy","price":1.0,"qty":2,"trade_id":{id},"timestamp":"2026-07-01T12:00:00Z"}}"#
            )
        };
        let frame = format!(
            r#"{{"channel":"trade","type":"snapshot","data":[{},{},{}]}}"#,
            trade(3),
            trade(2),
            trade(1)
        );
        let places: Vec<_> = hear(&frame)
            .into_iter()
            .map(|heard| {
                if let FeedEvent::Price(print) = heard {
                    print.place
                } else {
                    panic!("{heard:?}")
                }
            })
            .collect();
        assert_eq!(
            places,
            [Sequence::Each(1), Sequence::Each(2), Sequence::Each(3)]
        );
    }

    #[test]
    fn messages_without_a_price_produce_no_price() {
        let zero = r#"{"channel":"ticker","type":"snapshot","data":[{"symbol":"BTC/USD","bid":0,"ask":0,"last":0.0,"timestamp":"1970-01-01T00:00:00.000000Z"}]}"#;
        assert!(matches!(&hear(zero)[..], [FeedEvent::NoQuote]));
        let nack = r#"{"error":"Currency pair not supported BTC/USD","method":"subscribe","req_id":7,"success":false,"symbol":"BTC/USD"}"#;
        assert!(
            matches!(&hear(nack)[..], [FeedEvent::Refused { why, .. }] if why.contains("not supported"))
        );
        let status = |system: &str| {
            format!(
                r#"{{"channel":"status","type":"update","data":[{{"system":"{system}","connection_id":12393906104898154338}}]}}"#
            )
        };
        let heard = |channel: fn(SymbolMap) -> Kraken, system| {
            let names = SymbolMap::new([("BTC/USD".to_owned(), None)]).unwrap();
            let mut heard = Vec::new();
            channel(names).on_text(&status(system), &mut heard).unwrap();
            match &heard[..] {
                [FeedEvent::Halted(why)] => why.clone(),
                [FeedEvent::Open] => "open".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        let systems = [
            "online",
            "maintenance",
            "cancel_only",
            "post_only",
            "limit_only",
        ];
        assert_eq!(
            systems.map(|system| heard(Kraken::ticker, system)),
            [
                "open",
                "the exchange reports: maintenance",
                "open",
                "open",
                "open"
            ]
        );
        assert_eq!(
            systems.map(|system| heard(Kraken::trade, system)),
            [
                "open",
                "the exchange reports: maintenance",
                "the exchange reports: cancel_only",
                "the exchange reports: post_only",
                "open"
            ],
            "nothing is matched"
        );
    }

    #[test]
    fn an_invalid_entry_does_not_discard_the_others() {
        let heard = hear(
            r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","last":1.5,"bid":"","high":"NaN","timestamp":7},
            {"symbol":"BTC/USD"},{"symbol":"BTC/USD","last":null},{"symbol":"BTC/USD","last":2.5}]}"#,
        );
        let prices: Vec<_> = heard
            .iter()
            .filter_map(|heard| match heard {
                FeedEvent::Price(print) => Some(print.tick.price.to_string()),
                FeedEvent::Undecodable(_) => None,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            (prices, heard.len()),
            (vec!["1.5".to_owned(), "2.5".to_owned()], 6),
            "{heard:?}"
        );
    }
}
