//! Coinbase Advanced Trade: one channel per request. Every message has an envelope with a sequence
//! number of the connection.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::interface::{Protocol, Reply, find, list, quoted};
use crate::decimal::{quantity, ratio};
use crate::events::MarkedTrade;
use crate::market::Tick;
use crate::timestamp::{NANOS, go_timestamp, timestamp, valid_timestamp};

/// A placeholder for the sequence number. The number is set when the message is sent, because a
/// message that is held back must not use a number yet.
const UNNUMBERED: &str = "\"sequence_num\":\0";

pub(super) struct Advanced {
    opened: i64,
    /// The number of messages with a sequence number so far.
    numbered: u64,
    /// The number of heartbeats so far.
    heartbeats_sent: u64,
    tickers: Vec<usize>,
    heartbeats: bool,
}

impl Advanced {
    pub(super) fn new(now: i64) -> Self {
        Self {
            opened: now,
            numbered: 0,
            heartbeats_sent: 0,
            tickers: Vec::new(),
            heartbeats: false,
        }
    }

    fn answer(
        &mut self,
        request: &Value,
        subscribes: bool,
        latest: &[Arc<Tick>],
        now: i64,
    ) -> Result<Reply, String> {
        let none = Vec::new();
        let ids = request
            .get("product_ids")
            .and_then(Value::as_array)
            .unwrap_or(&none);
        // The exchange leaves out unknown products without an error.
        let products: Vec<usize> = ids
            .iter()
            .filter_map(|id| product(latest, id.as_str().unwrap_or_default()))
            .collect();
        let channel = request
            .get("channel")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut fresh = Vec::new();
        match channel {
            "heartbeats" => self.heartbeats = subscribes,
            "ticker" if !subscribes => {
                self.tickers
                    .retain(|old| !ids.is_empty() && !products.contains(old));
            }
            "ticker" if ids.is_empty() => return Err("no product_ids".to_owned()),
            "ticker" => {
                for product in products {
                    if !self.tickers.contains(&product) {
                        self.tickers.push(product);
                        fresh.push(&*latest[product]);
                    }
                }
            }
            _ => return Err(format!("{channel} is not a valid channel")),
        }
        let ack = envelope(
            "subscriptions",
            Some(valid_timestamp(now, NANOS)),
            &self.subscriptions(latest),
        );
        let snapshot = (!fresh.is_empty())
            .then(|| tickers("snapshot", &fresh, Some(valid_timestamp(now, NANOS))));
        Ok(Reply {
            acks: vec![ack],
            data: snapshot.into_iter().collect(),
            subscribes,
        })
    }

    /// Returns all active subscriptions as JSON.
    fn subscriptions(&self, latest: &[Arc<Tick>]) -> String {
        let mut channels = Vec::new();
        if !self.tickers.is_empty() {
            let names = self
                .tickers
                .iter()
                .map(|product| latest[*product].instrument.name.as_str());
            channels.push(format!(r#""ticker":{}"#, list(names)));
        }
        if self.heartbeats {
            channels.push(r#""heartbeats":["heartbeats"]"#.to_owned());
        }
        format!(r#"{{"subscriptions":{{{}}}}}"#, channels.join(","))
    }
}

impl Protocol for Advanced {
    fn control(&mut self, text: &str, latest: &[Arc<Tick>], now: i64) -> Reply {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return Reply::of(error("malformed JSON"));
        };
        let subscribes = match request.get("type").and_then(Value::as_str) {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => return Reply::of(error("the type is neither subscribe nor unsubscribe")),
        };
        let reply = self.answer(&request, subscribes, latest, now);
        reply.unwrap_or_else(|message| Reply {
            subscribes,
            ..Reply::of(error(&message))
        })
    }

    fn trade(&mut self, marked: &MarkedTrade) -> Vec<String> {
        let tick = &*marked.tick;
        if !self.tickers.contains(&tick.instrument.index) {
            return Vec::new();
        }
        vec![tickers(
            "update",
            &[tick],
            timestamp(tick.time, marked.time, NANOS),
        )]
    }

    fn unquoted(&mut self, tick: &Tick, _now: i64) -> Vec<String> {
        if !self.tickers.contains(&tick.instrument.index) {
            return Vec::new();
        }
        vec![tickers(
            "update",
            &[tick],
            Some(valid_timestamp(tick.time, NANOS)),
        )]
    }

    fn heartbeat(&mut self, _latest: &[Arc<Tick>], now: i64) -> Vec<String> {
        if !self.heartbeats {
            return Vec::new();
        }
        let uptime = Duration::from_millis(u64::try_from(now - self.opened).unwrap_or(0));
        let event = format!(
            r#"{{"current_time":"{}","heartbeat_counter":{}}}"#,
            go_timestamp(now, uptime),
            self.heartbeats_sent
        );
        self.heartbeats_sent += 1;
        vec![envelope(
            "heartbeats",
            Some(valid_timestamp(now, NANOS)),
            &event,
        )]
    }

    fn set_number(&mut self, text: String) -> String {
        if !text.contains(UNNUMBERED) {
            return text;
        }
        let numbered = text.replacen(
            UNNUMBERED,
            &format!("\"sequence_num\":{}", self.numbered),
            1,
        );
        self.numbered += 1;
        numbered
    }
}

/// Returns the index of a product. A USDC product is served as the USD product, with two
/// exceptions.
fn product(latest: &[Arc<Tick>], name: &str) -> Option<usize> {
    let base = name
        .strip_suffix("-USDC")
        .filter(|base| !["USDT", "EURC"].contains(base));
    find(latest, name).or_else(|| find(latest, &format!("{}-USD", base?)))
}

fn error(message: &str) -> String {
    format!(r#"{{"type":"error","message":{}}}"#, quoted(message))
}

fn envelope(channel: &str, time: Option<String>, event: &str) -> String {
    let time = time
        .map(|time| format!(r#""timestamp":"{time}","#))
        .unwrap_or_default();
    format!(r#"{{"channel":"{channel}","client_id":"",{time}{UNNUMBERED},"events":[{event}]}}"#)
}

fn tickers(kind: &str, ticks: &[&Tick], time: Option<String>) -> String {
    let tickers: Vec<String> = ticks.iter().copied().map(ticker).collect();
    envelope(
        "ticker",
        time,
        &format!(r#"{{"type":"{kind}","tickers":[{}]}}"#, tickers.join(",")),
    )
}

fn ticker(tick: &Tick) -> String {
    let (instrument, day) = (&*tick.instrument, &tick.day);
    let price = |units| instrument.price(units);
    format!(
        concat!(
            r#"{{"type":"ticker","product_id":"{}","price":"{}","volume_24_h":"{}","low_24_h":"{}","high_24_h":"{}","#,
            r#""low_52_w":"{}","high_52_w":"{}","price_percent_chg_24_h":"{}","best_bid":"{}","best_bid_quantity":"{}","#,
            r#""best_ask":"{}","best_ask_quantity":"{}"}}"#
        ),
        instrument.name,
        price(tick.price),
        quantity(day.volume),
        price(day.low),
        price(day.high),
        // The market has no history of a year. These ranges contain the day's range, so they are
        // plausible.
        price(day.low / 4 * 3),
        price(day.high / 4 * 5),
        ratio(i128::from(tick.change()) * 100, day.open.into(), 14),
        price(tick.bid),
        quantity(tick.bid_quantity),
        price(tick.ask),
        quantity(tick.ask_quantity),
    )
}
