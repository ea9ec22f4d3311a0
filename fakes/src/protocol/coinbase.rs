//! Coinbase Exchange: several channels per request and a sequence number per product. A request
//! succeeds or fails as a whole.

use std::sync::Arc;

use serde_json::Value;

use super::interface::{Protocol, Reply, find, list, quoted};
use crate::decimal::{fixed, quantity};
use crate::events::MarkedTrade;
use crate::market::Tick;
use crate::timestamp::{MICROS, timestamp, valid_timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Ticker,
    Matches,
    Heartbeat,
}

impl Channel {
    fn of(name: &str) -> Option<Self> {
        [Self::Ticker, Self::Matches, Self::Heartbeat]
            .into_iter()
            .find(|channel| channel.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::Matches => "matches",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// A channel and the indices of the requested products. In a request to unsubscribe, an empty list
/// means all products.
type ChannelRequest = (Channel, Vec<usize>);

#[derive(Default)]
pub(super) struct Coinbase {
    /// The subscriptions in the order of the requests. No list is empty.
    channels: Vec<ChannelRequest>,
}

impl Coinbase {
    fn has(&self, channel: Channel, product: usize) -> bool {
        self.channels
            .iter()
            .any(|(name, products)| *name == channel && products.contains(&product))
    }

    /// Subscribes and returns the first messages of the new subscriptions.
    fn subscribe(&mut self, requests: Vec<ChannelRequest>, latest: &[Arc<Tick>]) -> Vec<String> {
        let mut first = Vec::new();
        for (channel, products) in requests {
            for product in products {
                if self.has(channel, product) {
                    continue;
                }
                let tick = &*latest[product];
                match channel {
                    Channel::Ticker => first.push(ticker(tick, timestamp(tick.time, None, MICROS))),
                    Channel::Matches => {
                        first.push(trade(
                            "last_match",
                            tick,
                            timestamp(tick.time, None, MICROS),
                        ));
                    }
                    Channel::Heartbeat => (),
                }
                match self.channels.iter_mut().find(|(name, _)| *name == channel) {
                    Some((_, products)) => products.push(product),
                    None => self.channels.push((channel, vec![product])),
                }
            }
        }
        first
    }

    fn unsubscribe(&mut self, requests: &[ChannelRequest]) {
        for (channel, removed) in requests {
            for (_, products) in self.channels.iter_mut().filter(|(name, _)| name == channel) {
                products.retain(|product| !removed.is_empty() && !removed.contains(product));
            }
        }
        self.channels.retain(|(_, products)| !products.is_empty());
    }

    /// Returns all active subscriptions as JSON.
    fn subscriptions(&self, latest: &[Arc<Tick>]) -> String {
        let channel = |(channel, products): &ChannelRequest| {
            let names = list(
                products
                    .iter()
                    .map(|product| latest[*product].instrument.name.as_str()),
            );
            format!(r#"{{"name":"{}","product_ids":{names}}}"#, channel.name())
        };
        let channels: Vec<String> = self.channels.iter().map(channel).collect();
        format!(
            r#"{{"type":"subscriptions","channels":[{}]}}"#,
            channels.join(",")
        )
    }
}

impl Protocol for Coinbase {
    fn control(&mut self, text: &str, latest: &[Arc<Tick>], _now: i64) -> Reply {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return Reply::of(r#"{"type":"error","message":"Malformed JSON"}"#.to_owned());
        };
        let subscribes = match request.get("type").and_then(Value::as_str) {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => {
                return Reply::of(error(
                    "Failed to handle message",
                    "the type is neither subscribe nor unsubscribe",
                ));
            }
        };
        let failed = if subscribes {
            "Failed to subscribe"
        } else {
            "Failed to unsubscribe"
        };
        let requests = match parse_requests(&request, latest) {
            Ok(requests) => requests,
            Err(reason) => {
                return Reply {
                    subscribes,
                    ..Reply::of(error(failed, &reason))
                };
            }
        };
        if !subscribes {
            self.unsubscribe(&requests);
            return Reply::of(self.subscriptions(latest));
        }
        if requests.iter().any(|(_, products)| products.is_empty()) {
            return Reply {
                subscribes,
                ..Reply::of(error(failed, "no product_ids"))
            };
        }
        let data = self.subscribe(requests, latest);
        Reply {
            acks: vec![self.subscriptions(latest)],
            data,
            subscribes,
        }
    }

    fn trade(&mut self, marked: &MarkedTrade) -> Vec<String> {
        let tick = &*marked.tick;
        let index = tick.instrument.index;
        let time = || timestamp(tick.time, marked.time, MICROS);
        let trade = self
            .has(Channel::Matches, index)
            .then(|| trade("match", tick, time()));
        let ticker = self
            .has(Channel::Ticker, index)
            .then(|| ticker(tick, time()));
        trade.into_iter().chain(ticker).collect()
    }

    fn unquoted(&mut self, tick: &Tick, _now: i64) -> Vec<String> {
        let subscribed = self.has(Channel::Ticker, tick.instrument.index);
        subscribed
            .then(|| ticker(tick, timestamp(tick.time, None, MICROS)))
            .into_iter()
            .collect()
    }

    fn heartbeat(&mut self, latest: &[Arc<Tick>], now: i64) -> Vec<String> {
        let time = valid_timestamp(now, MICROS);
        let message = |tick: &Arc<Tick>| {
            let Tick {
                sequence,
                id,
                instrument,
                ..
            } = &**tick;
            let name = &instrument.name;
            format!(
                r#"{{"type":"heartbeat","sequence":{sequence},"last_trade_id":{id},"product_id":"{name}","time":"{time}"}}"#
            )
        };
        latest
            .iter()
            .filter(|tick| self.has(Channel::Heartbeat, tick.instrument.index))
            .map(message)
            .collect()
    }
}

/// Parses the channels of a request. One unknown name makes the whole request fail.
fn parse_requests(request: &Value, latest: &[Arc<Tick>]) -> Result<Vec<ChannelRequest>, String> {
    let channels = request
        .get("channels")
        .and_then(Value::as_array)
        .ok_or("no channels")?;
    let mut requests = Vec::new();
    for channel in channels {
        let name = channel
            .as_str()
            .or_else(|| channel.get("name")?.as_str())
            .unwrap_or_default();
        let known = Channel::of(name).ok_or_else(|| format!("{name} is not a valid channel"))?;
        let products = channel
            .get("product_ids")
            .or_else(|| request.get("product_ids"));
        let products = products
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let product = |id: &Value| {
            let name = id.as_str().unwrap_or_default();
            find(latest, name).ok_or_else(|| format!("{name} is not a valid product"))
        };
        requests.push((
            known,
            products.iter().map(product).collect::<Result<_, _>>()?,
        ));
    }
    Ok(requests)
}

fn error(message: &str, reason: &str) -> String {
    format!(
        r#"{{"type":"error","message":"{message}","reason":{}}}"#,
        quoted(reason)
    )
}

/// Returns a time field with its comma, or an empty text.
fn field(time: Option<String>) -> String {
    time.map(|time| format!(r#""time":"{time}","#))
        .unwrap_or_default()
}

fn ticker(tick: &Tick, time: Option<String>) -> String {
    let (instrument, day) = (&*tick.instrument, &tick.day);
    let price = |units| instrument.price(units);
    format!(
        concat!(
            r#"{{"type":"ticker","sequence":{},"product_id":"{}","price":"{}","open_24h":"{}","volume_24h":"{}","#,
            r#""low_24h":"{}","high_24h":"{}","volume_30d":"{}","best_bid":"{}","best_bid_size":"{}","best_ask":"{}","#,
            r#""best_ask_size":"{}","side":"{}",{}"trade_id":{},"last_size":"{}"}}"#
        ),
        tick.sequence,
        instrument.name,
        price(tick.price),
        price(day.open),
        quantity(day.volume),
        // The real exchange also mixes numbers with and without trailing zeros in one message.
        price(day.low).trimmed(),
        price(day.high).trimmed(),
        fixed(i128::from(day.volume) * 30, 8),
        price(tick.bid),
        quantity(tick.bid_quantity),
        price(tick.ask),
        quantity(tick.ask_quantity),
        if tick.bought { "buy" } else { "sell" },
        field(time),
        tick.id,
        quantity(tick.quantity),
    )
}

/// Returns a trade. In this message, `side` is the maker's side.
fn trade(kind: &str, tick: &Tick, time: Option<String>) -> String {
    let instrument = &*tick.instrument;
    let (maker, taker) = (uuid(tick, 1), uuid(tick, 2));
    format!(
        concat!(
            r#"{{"type":"{}","trade_id":{},"maker_order_id":"{}","taker_order_id":"{}","side":"{}","size":"{}","#,
            r#""price":"{}","product_id":"{}",{}"sequence":{}}}"#
        ),
        kind,
        tick.id,
        maker,
        taker,
        if tick.bought { "sell" } else { "buy" },
        quantity(tick.quantity),
        instrument.price(tick.price),
        instrument.name,
        field(time),
        tick.sequence,
    )
}

/// Returns the id of an order of this trade.
fn uuid(tick: &Tick, order: u64) -> String {
    let mixed = (tick.id ^ (order << 60)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed >> 4 & 0xfff,
        order,
        tick.id
    )
}
