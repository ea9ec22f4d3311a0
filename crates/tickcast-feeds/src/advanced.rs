//! Coinbase Advanced Trade: tickers.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickcast::Tick;

use crate::asking::{Asking, Lists};
use crate::exchange::{Conversation, Exchange, Garbled, Heard, Kind, Limits, Place, Print, When};
use crate::names::Names;
use crate::wire::{Decimal, excerpt, extras, when_written};

/// Coinbase Advanced Trade: last price, best bid and ask, the 24 h range, with each match.
///
/// It says the change of 24 hours in percent only; that is handed on as the extra `change_pct_24h`, and a tick's own change is
/// measured as usual here.
#[derive(Debug, Clone)]
pub struct Advanced {
    names: Names,
    lists: Lists,
}

impl Advanced {
    /// Where it is.
    pub const URL: &'static str = "wss://advanced-trade-ws.coinbase.com";

    /// These products, such as `BTC-USD`.
    #[must_use]
    pub fn new(names: Names) -> Self {
        let lists = Lists::new(names.theirs());
        Self { names, lists }
    }
}

impl Exchange for Advanced {
    fn limits(&self) -> Limits {
        Limits {
            // It allows eight a second, of connections and of messages.
            connect_every: Duration::from_millis(200),
            say_every: Duration::from_millis(170),
            // It is asked for a heartbeat a second.
            pulse: Duration::from_secs(10),
            life: None,
            symbols: 1000,
        }
    }

    fn path(&self) -> &'static str {
        "/"
    }

    fn converse(&self) -> Box<dyn Conversation> {
        Box::new(Talk {
            names: self.names.clone(),
            asking: self.lists.ask(),
            next: 0,
            said_heartbeats: false,
        })
    }
}

struct Talk {
    names: Names,
    asking: Asking,
    /// The number of the next message.
    next: u64,
    said_heartbeats: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(rename = "type")]
    kind: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    timestamp: Option<Cow<'a, str>>,
    sequence_num: Option<u64>,
    events: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    tickers: Vec<Ticker<'a>>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    price: Decimal<'a>,
    best_bid: Option<Decimal<'a>>,
    best_bid_quantity: Option<Decimal<'a>>,
    best_ask: Option<Decimal<'a>>,
    best_ask_quantity: Option<Decimal<'a>>,
    high_24_h: Option<Decimal<'a>>,
    low_24_h: Option<Decimal<'a>>,
    volume_24_h: Option<Decimal<'a>>,
    price_percent_chg_24_h: Option<Decimal<'a>>,
}

impl Conversation for Talk {
    fn open(&mut self) -> Vec<String> {
        // Each channel takes a message of its own; the prices' has to be there within 5 s.
        self.ask().into_iter().collect()
    }

    fn hear(&mut self, frame: &str, heard: &mut Vec<Heard>) -> Result<(), Garbled> {
        let envelope: Envelope<'_> = serde_json::from_str(frame)?;
        if envelope.kind.as_deref() == Some("error") {
            self.refused(envelope.message.as_deref().unwrap_or("no reason given"), heard);
            return Ok(());
        }
        if let Some(number) = envelope.sequence_num {
            if number > self.next {
                heard.push(Heard::Lost(number - self.next));
            }
            self.next = self.next.max(number.saturating_add(1));
        }
        match envelope.channel.as_deref() {
            Some("ticker" | "ticker_batch") => self.tickers(&envelope, heard)?,
            Some("subscriptions") => {
                self.asking.given();
                heard.push(self.ask().map_or(Heard::Nothing, Heard::Say));
            }
            Some("heartbeats" | "status" | "candles" | "market_trades" | "l2_data") => {
                heard.push(Heard::Nothing);
            }
            other => heard.push(Heard::Unknown(excerpt(other.unwrap_or("a frame without a channel")))),
        }
        Ok(())
    }
}

impl Talk {
    /// The next subscription: to heartbeats once something else is given.
    fn ask(&mut self) -> Option<String> {
        if let Some(products) = self.asking.next() {
            let message =
                serde_json::json!({ "type": "subscribe", "product_ids": products, "channel": "ticker" });
            return Some(message.to_string());
        }
        let first = !std::mem::replace(&mut self.said_heartbeats, true);
        first.then(|| serde_json::json!({ "type": "subscribe", "channel": "heartbeats" }).to_string())
    }

    fn refused(&mut self, says: &str, heard: &mut Vec<Heard>) {
        if self.asking.hear_refusal(says, &self.names, heard) {
            heard.push(self.ask().map_or(Heard::Nothing, Heard::Say));
        }
    }

    fn tickers(&self, envelope: &Envelope<'_>, heard: &mut Vec<Heard>) -> Result<(), Garbled> {
        let (when, ns) = when_written(envelope.timestamp.as_deref());
        let events: Vec<Event<'_>> = serde_json::from_str(envelope.events.map_or("[]", RawValue::get))?;
        let before = heard.len();
        for event in &events {
            let snapshot = event.kind.as_deref() == Some("snapshot");
            heard.extend(
                event
                    .tickers
                    .iter()
                    .map(|ticker| Heard::from_print(self.ticker(ticker, (when, ns), snapshot))),
            );
        }
        if heard.len() == before {
            heard.push(Heard::Nothing);
        }
        Ok(())
    }

    fn ticker(
        &self,
        ticker: &Ticker<'_>,
        (when, ns): (When, u64),
        snapshot: bool,
    ) -> Result<Option<Print>, Garbled> {
        let Some(price) = ticker.price.quoted("price")? else { return Ok(None) };
        // What trades against USDC is the same as against USD, and comes under that name.
        let name = &*ticker.product_id;
        let symbol = self
            .names
            .asked_for(name)
            .or_else(|garbled| self.names.symbol(&format!("{name}C")).ok_or(garbled))?;
        let mut tick = Tick::new(symbol, price);
        tick.extras = extras(
            None,
            &[
                ("bid", ticker.best_bid),
                ("bid_size", ticker.best_bid_quantity),
                ("ask", ticker.best_ask),
                ("ask_size", ticker.best_ask_quantity),
                ("high", ticker.high_24_h),
                ("low", ticker.low_24_h),
                ("volume", ticker.volume_24_h),
                ("change_pct_24h", ticker.price_percent_chg_24_h),
            ],
        )?;
        Ok(Some(Print { tick, when, kind: Kind::Ticker, place: Place::Time(ns), snapshot }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Box<dyn Conversation> {
        Advanced::new(Names::new(["BTC-USDC", "ETH-USD"].map(|name| (name.to_owned(), None))).unwrap())
            .converse()
    }

    fn hear(talk: &mut dyn Conversation, frame: &str) -> Vec<Heard> {
        let mut heard = Vec::new();
        talk.hear(frame, &mut heard).unwrap();
        heard
    }

    #[test]
    fn prices_and_lost_messages() {
        let mut talk = talk();
        let frame = |number: u64| {
            format!(
                r#"{{"channel":"ticker","client_id":"","timestamp":"2026-07-01T12:00:00.223456789Z","sequence_num":{number},"events":[
                {{"type":"update","tickers":[{{"type":"ticker","product_id":"BTC-USD","price":"64250.10","price_percent_chg_24_h":"-0.39085937500000",
                "best_bid":"64250.14","best_bid_quantity":"0.5"}},{{"product_id":"ETH-USD","price":"1"}}]}}]}}"#
            )
        };
        let heard = hear(&mut *talk, &frame(0));
        let [Heard::Price(btc), Heard::Price(eth)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!((btc.tick.symbol.as_str(), eth.tick.symbol.as_str()), ("BTC-USDC", "ETH-USD"));
        assert_eq!(btc.tick.price.to_string(), "64250.10");
        assert_eq!(btc.place, Place::Time(1_782_907_200_223_456_789));
        assert!(btc.tick.extras.as_json().ends_with(br#","change_pct_24h":-0.39085937500000"#));
        let lost = |heard: Vec<Heard>| {
            heard.iter().find_map(|heard| match heard {
                Heard::Lost(n) => Some(*n),
                _ => None,
            })
        };
        assert_eq!(
            [1, 4, 3, 5].map(|number| lost(hear(&mut *talk, &frame(number)))),
            [None, Some(2), None, None]
        );
    }

    #[test]
    fn heartbeats_are_asked_for_last() {
        let mut talk = talk();
        assert!(talk.open()[0].contains("ticker"));
        let heard = hear(&mut *talk, r#"{"channel":"subscriptions","sequence_num":0,"events":[]}"#);
        assert!(matches!(&heard[..], [Heard::Say(text)] if text.contains("heartbeats")));
        let heard = hear(&mut *talk, r#"{"channel":"subscriptions","sequence_num":1,"events":[]}"#);
        assert!(matches!(&heard[..], [Heard::Nothing]));
        let heard = hear(&mut *talk, r#"{"type":"error","message":"rate"}"#);
        assert!(matches!(&heard[..], [Heard::Failed(_)]));
    }
}
