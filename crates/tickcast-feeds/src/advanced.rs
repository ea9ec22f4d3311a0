//! Coinbase Advanced Trade: tickers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickcast::{Symbol, Tick};

use crate::exchange::{
    DecodeError, EventTime, Exchange, ExchangeLimits, ExchangeProtocol, FeedEvent, FeedPrice, Kind,
    Sequence,
};
use crate::names::SymbolMap;
use crate::subscription_probe::{Lists, SubscriptionProbe};
use crate::wire::{Extras, Field, each, excerpt, when_written};

/// The exchange Coinbase Advanced Trade: last price, best bid and ask, and the 24 h range, with
/// each match.
///
/// The exchange sends the 24 h change only in percent. The feed forwards the percentage as the
/// extra `change_pct_24h`. The hub measures a tick's own change as usual.
///
/// Made by [`Advanced::new`]. Pass it to [`Feed::new`](crate::Feed::new).
#[derive(Debug, Clone)]
pub struct Advanced {
    names: SymbolMap,
    lists: Lists,
}

impl Advanced {
    /// The URL of the exchange: `wss://advanced-trade-ws.coinbase.com`.
    pub const URL: &'static str = "wss://advanced-trade-ws.coinbase.com";

    /// Creates the exchange with these products, such as `BTC-USD`.
    #[must_use]
    pub fn new(names: SymbolMap) -> Self {
        let lists = Lists::new(names.venue_names());
        Self { names, lists }
    }
}

impl Exchange for Advanced {
    fn limits(&self) -> ExchangeLimits {
        ExchangeLimits {
            // The exchange allows eight connections and eight messages per second.
            connect_interval: Duration::from_millis(200),
            send_interval: Duration::from_millis(170),
            // The feed subscribes to one heartbeat per second.
            heartbeat_timeout: Duration::from_secs(10),
            max_connection_age: None,
            symbols: 1000,
        }
    }

    fn path(&self) -> &'static str {
        "/"
    }

    fn new_connection(&self) -> Box<dyn ExchangeProtocol> {
        Box::new(Talk {
            names: self.names.clone(),
            asking: self.lists.ask(),
            next: 0,
            said_heartbeats: false,
            apart: HashSet::new(),
        })
    }
}

struct Talk {
    names: SymbolMap,
    asking: SubscriptionProbe,
    /// The sequence number of the next message.
    next: u64,
    said_heartbeats: bool,
    /// USDC products that arrived under their own names.
    apart: HashSet<Symbol>,
}

/// The reason for a product that is requested but not in the list of subscriptions. The exchange
/// itself sends no reason.
const LEFT_OUT: &str =
    "the exchange does not list the symbol among the subscriptions; the symbol may not be listed";

/// Bases whose USDC products have separate order books. Any other USDC product is the same as the
/// USD product and arrives under the USD name.
const APART: [&str; 2] = ["USDT", "EURC"];

/// Returns the USDC product whose prices arrive under the name of this USD product.
fn twin(name: &str) -> Option<String> {
    let base = name
        .strip_suffix("-USD")
        .filter(|base| !APART.contains(base))?;
    Some(format!("{base}-USDC"))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(rename = "type")]
    kind: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    timestamp: Option<Field<'a>>,
    sequence_num: Option<Field<'a>>,
    events: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    tickers: Option<&'a RawValue>,
    subscriptions: Option<Subscriptions<'a>>,
}

/// The subscriptions of this connection.
#[derive(Deserialize)]
struct Subscriptions<'a> {
    #[serde(borrow, default)]
    ticker: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    price: Field<'a>,
    best_bid: Option<Field<'a>>,
    best_bid_quantity: Option<Field<'a>>,
    best_ask: Option<Field<'a>>,
    best_ask_quantity: Option<Field<'a>>,
    high_24_h: Option<Field<'a>>,
    low_24_h: Option<Field<'a>>,
    volume_24_h: Option<Field<'a>>,
    price_percent_chg_24_h: Option<Field<'a>>,
}

impl ExchangeProtocol for Talk {
    fn open(&mut self) -> Vec<String> {
        // Each channel needs its own message. The exchange expects the subscription to prices
        // within 5 s.
        self.ask().into_iter().collect()
    }

    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError> {
        let envelope: Envelope<'_> = serde_json::from_str(frame)?;
        if envelope.kind.as_deref() == Some("error") {
            self.refused(
                envelope.message.as_deref().unwrap_or("no reason given"),
                heard,
            );
            return Ok(());
        }
        if let Some(number) = envelope.sequence_num {
            match number.number("sequence_num") {
                Ok(number) => self.count(number, heard),
                Err(garbled) => heard.push(FeedEvent::Undecodable(garbled)),
            }
        }
        match envelope.channel.as_deref() {
            Some("ticker" | "ticker_batch") => self.tickers(&envelope, heard),
            Some("subscriptions") => {
                if let Some(asked) = self.asking.next_confirmed() {
                    self.compare(&asked, envelope.events, heard);
                }
                heard.push(self.ask().map_or(FeedEvent::Nothing, FeedEvent::Send));
            }
            Some("heartbeats" | "status" | "candles" | "market_trades" | "l2_data") => {
                heard.push(FeedEvent::Nothing);
            }
            other => heard.push(FeedEvent::Unknown(excerpt(
                other.unwrap_or("a frame without a channel"),
            ))),
        }
        Ok(())
    }
}

impl Talk {
    /// Returns the next subscription. The subscription to heartbeats comes last, after the
    /// subscriptions to prices.
    fn ask(&mut self) -> Option<String> {
        if let Some(products) = self.asking.next() {
            let message = serde_json::json!({ "type": "subscribe", "product_ids": products, "channel": "ticker" });
            return Some(message.to_string());
        }
        let first = !std::mem::replace(&mut self.said_heartbeats, true);
        first.then(|| {
            serde_json::json!({ "type": "subscribe", "channel": "heartbeats" }).to_string()
        })
    }

    fn refused(&mut self, says: &str, heard: &mut Vec<FeedEvent>) {
        if self.asking.on_refusal(says, &self.names, heard) {
            heard.push(self.ask().map_or(FeedEvent::Nothing, FeedEvent::Send));
        }
    }

    /// Counts lost messages. Every message has a sequence number, in all channels.
    fn count(&mut self, number: u64, heard: &mut Vec<FeedEvent>) {
        if number > self.next {
            heard.push(FeedEvent::Lost(number - self.next));
        }
        self.next = self.next.max(number.saturating_add(1));
    }

    /// Finds products that are requested but not subscribed. The exchange leaves out unknown
    /// products without an error.
    fn compare(&self, asked: &[String], events: Option<&RawValue>, heard: &mut Vec<FeedEvent>) {
        let events: Vec<Event<'_>> = each(events, heard);
        let Some(given) = events.into_iter().find_map(|event| event.subscriptions) else {
            return;
        };
        let names = given
            .ticker
            .iter()
            .flat_map(|name| [Some(name.to_string()), twin(name)]);
        let given: HashSet<String> = names.flatten().collect();
        for symbol in asked
            .iter()
            .filter(|name| !given.contains(*name))
            .filter_map(|name| self.names.symbol(name))
        {
            heard.push(FeedEvent::Refused {
                symbol,
                why: LEFT_OUT.to_owned(),
            });
        }
    }

    fn tickers(&mut self, envelope: &Envelope<'_>, heard: &mut Vec<FeedEvent>) {
        let (when, ns) = when_written(envelope.timestamp);
        let events: Vec<Event<'_>> = each(envelope.events, heard);
        let before = heard.len();
        for event in &events {
            let snapshot = event.kind.as_deref() == Some("snapshot");
            let tickers: Vec<Ticker<'_>> = each(event.tickers, heard);
            for ticker in &tickers {
                match self.symbols(&ticker.product_id) {
                    Err(garbled) => heard.push(FeedEvent::Undecodable(garbled)),
                    Ok(symbols) => {
                        for symbol in symbols.into_iter().flatten() {
                            let print = print(ticker, symbol, (when, ns), snapshot, heard);
                            heard.push(FeedEvent::from_print(print));
                        }
                    }
                }
            }
        }
        if heard.len() == before {
            heard.push(FeedEvent::Nothing);
        }
    }

    /// Returns the symbols whose price arrives under this name. The symbols are the product itself
    /// and its twin, unless the twin arrives under its own name.
    fn symbols(&mut self, name: &str) -> Result<[Option<Symbol>; 2], DecodeError> {
        let own = self.names.symbol(name);
        if name.ends_with("-USDC") {
            self.apart.extend(own);
        }
        let twin = twin(name).and_then(|twin| self.names.symbol(&twin));
        let twin = twin.filter(|twin| !self.apart.contains(twin));
        if own.or(twin).is_none() {
            self.names.asked_for(name)?;
        }
        Ok([own, twin])
    }
}

fn print(
    ticker: &Ticker<'_>,
    symbol: Symbol,
    (when, ns): (EventTime, u64),
    snapshot: bool,
    heard: &mut Vec<FeedEvent>,
) -> Result<Option<FeedPrice>, DecodeError> {
    let Some(price) = ticker.price.quoted("price")? else {
        return Ok(None);
    };
    let mut tick = Tick::new(symbol, price);
    Extras::new(&mut tick, heard).decimals(&[
        ("bid", ticker.best_bid),
        ("bid_size", ticker.best_bid_quantity),
        ("ask", ticker.best_ask),
        ("ask_size", ticker.best_ask_quantity),
        ("high", ticker.high_24_h),
        ("low", ticker.low_24_h),
        ("volume", ticker.volume_24_h),
        ("change_pct_24h", ticker.price_percent_chg_24_h),
    ]);
    Ok(Some(FeedPrice {
        tick,
        when,
        kind: Kind::Ticker,
        place: Sequence::Time(ns),
        snapshot,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Box<dyn ExchangeProtocol> {
        Advanced::new(
            SymbolMap::new(["BTC-USDC", "ETH-USD"].map(|name| (name.to_owned(), None))).unwrap(),
        )
        .new_connection()
    }

    fn hear(talk: &mut dyn ExchangeProtocol, frame: &str) -> Vec<FeedEvent> {
        let mut heard = Vec::new();
        talk.on_text(frame, &mut heard).unwrap();
        heard
    }

    #[test]
    fn prices_are_decoded_and_lost_messages_are_counted() {
        let mut talk = talk();
        let frame = |number: u64| {
            format!(
                r#"{{"channel":"ticker","client_id":"","timestamp":"2026-07-01T12:00:00.223456789Z","sequence_num":{number},"events":[
                {{"type":"update","tickers":[{{"type":"ticker","product_id":"BTC-USD","price":"64250.10","price_percent_chg_24_h":"-0.39085937500000",
                "best_bid":"64250.14","best_bid_quantity":"0.5"}},{{"product_id":"ETH-USD","price":"1"}}]}}]}}"#
            )
        };
        let heard = hear(&mut *talk, &frame(0));
        let [FeedEvent::Price(btc), FeedEvent::Price(eth)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(
            (btc.tick.symbol.as_str(), eth.tick.symbol.as_str()),
            ("BTC-USDC", "ETH-USD")
        );
        assert_eq!(btc.tick.price.to_string(), "64250.10");
        assert_eq!(btc.place, Sequence::Time(1_782_907_200_223_456_789));
        assert!(
            btc.tick
                .extras
                .as_json()
                .ends_with(br#","change_pct_24h":-0.39085937500000"#)
        );
        let lost = |heard: Vec<FeedEvent>| {
            heard.iter().find_map(|heard| match heard {
                FeedEvent::Lost(n) => Some(*n),
                _ => None,
            })
        };
        assert_eq!(
            [1, 4, 3, 5].map(|number| lost(hear(&mut *talk, &frame(number)))),
            [None, Some(2), None, None]
        );
    }

    fn ticker(name: &str) -> String {
        format!(
            r#"{{"channel":"ticker","timestamp":"2026-07-01T12:00:00Z","events":[{{"tickers":[{{"product_id":"{name}","price":"1"}}]}}]}}"#
        )
    }

    #[test]
    fn a_price_under_the_name_of_a_twin_is_a_price_of_both_products() {
        let names = ["BTC-USD", "BTC-USDC", "ETH-USDC", "USDT-USDC"];
        let mut talk =
            Advanced::new(SymbolMap::new(names.map(|name| (name.to_owned(), None))).unwrap())
                .new_connection();
        let mut symbols = |name: &str| -> Vec<String> {
            let heard = hear(&mut *talk, &ticker(name));
            let symbol = |heard: &FeedEvent| match heard {
                FeedEvent::Price(print) => print.tick.symbol.to_string(),
                FeedEvent::Undecodable(garbled) => garbled.to_string(),
                other => panic!("{other:?}"),
            };
            heard.iter().map(symbol).collect()
        };
        assert_eq!(symbols("BTC-USD"), ["BTC-USD", "BTC-USDC"]);
        assert_eq!(symbols("ETH-USD"), ["ETH-USDC"]);
        assert_eq!(
            symbols("USDT-USD"),
            ["USDT-USD was not requested"],
            "these are two"
        );
        assert_eq!(symbols("BTC-USDC"), ["BTC-USDC"]);
        assert_eq!(symbols("BTC-USD"), ["BTC-USD"], "it comes by itself");
    }

    #[test]
    fn a_product_left_out_of_the_subscriptions_is_refused() {
        let names = ["BTC-USD", "FOO-BAR", "ETH-USDC", "FOO-USDC"];
        let mut talk =
            Advanced::new(SymbolMap::new(names.map(|name| (name.to_owned(), None))).unwrap())
                .new_connection();
        talk.open();
        let ack = r#"{"channel":"subscriptions","events":[{"subscriptions":{"ticker":["BTC-USD","ETH-USD"]}}]}"#;
        let heard = hear(&mut *talk, ack);
        let refused: Vec<_> = heard
            .iter()
            .filter_map(|heard| match heard {
                FeedEvent::Refused { symbol, why } => Some((symbol.as_str(), why.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(refused, [("FOO-BAR", LEFT_OUT), ("FOO-USDC", LEFT_OUT)]);
        let later = hear(
            &mut *talk,
            r#"{"channel":"subscriptions","events":[{"subscriptions":{"heartbeats":["heartbeats"]}}]}"#,
        );
        assert!(
            matches!(&later[..], [FeedEvent::Nothing]),
            "nothing was asked for: {later:?}"
        );
    }

    #[test]
    fn an_invalid_field_does_not_discard_other_fields() {
        let mut talk = talk();
        let heard = hear(
            &mut *talk,
            r#"{"channel":"ticker","timestamp":7,"sequence_num":"x","events":[null,{"tickers":{}},{"tickers":[
            {"product_id":"BTC-USD","price":"1","price_percent_chg_24_h":"NaN","best_bid":""},{"product_id":"ETH-USD"},
            {"product_id":"ETH-USD","price":"2","low_24_h":"1"}]}]}"#,
        );
        let prices: Vec<_> = heard
            .iter()
            .filter_map(|heard| match heard {
                FeedEvent::Price(print) => Some(print.tick.price.to_string()),
                _ => None,
            })
            .collect();
        let noted = heard
            .iter()
            .filter(|heard| matches!(heard, FeedEvent::Undecodable(_)))
            .count();
        assert_eq!(
            (prices, noted),
            (vec!["1".to_owned(), "2".to_owned()], 6),
            "{heard:?}"
        );
    }

    #[test]
    fn heartbeats_are_requested_last() {
        let mut talk = talk();
        assert!(talk.open()[0].contains("ticker"));
        let heard = hear(
            &mut *talk,
            r#"{"channel":"subscriptions","sequence_num":0,"events":[]}"#,
        );
        assert!(matches!(&heard[..], [FeedEvent::Send(text)] if text.contains("heartbeats")));
        let heard = hear(
            &mut *talk,
            r#"{"channel":"subscriptions","sequence_num":1,"events":[]}"#,
        );
        assert!(matches!(&heard[..], [FeedEvent::Nothing]));
        let heard = hear(&mut *talk, r#"{"type":"error","message":"rate"}"#);
        assert!(matches!(&heard[..], [FeedEvent::Failed(_)]));
    }
}
