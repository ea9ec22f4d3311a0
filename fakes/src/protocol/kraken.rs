//! Kraken Spot v2: decimals as numbers, and one acknowledgement per symbol.

use std::sync::Arc;

use serde_json::Value;

use super::interface::{Protocol, Reply, find, quoted};
use crate::decimal::{fixed, quantity, ratio};
use crate::events::MarkedTrade;
use crate::market::Tick;
use crate::timestamp::{MICROS, timestamp, valid_timestamp};

pub(super) struct Kraken {
    connection: u64,
    tickers: Vec<usize>,
    trades: Vec<usize>,
}

/// A request about one channel.
struct Request<'a> {
    subscribes: bool,
    channel: &'a str,
    params: &'a Value,
    /// The request id with its key and comma, or an empty text.
    id: String,
    /// Both time fields at the end of the response.
    times: String,
}

impl Kraken {
    pub(super) fn new(now: i64) -> Self {
        // The id does not fit into a double or a signed integer, as is often true of the real ids.
        let mixed = now.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            connection: mixed | 1 << 63,
            tickers: Vec::new(),
            trades: Vec::new(),
        }
    }

    fn answer(&mut self, request: &Request<'_>, latest: &[Arc<Tick>]) -> Reply {
        let mut reply = Reply {
            subscribes: request.subscribes,
            ..Reply::default()
        };
        let symbols = request
            .params
            .get("symbol")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        if symbols.is_empty() {
            reply.acks.push(request.refusal("Malformed request", None));
        }
        for symbol in symbols {
            let name = symbol.as_str().unwrap_or_default();
            match self.change(request, find(latest, name), name) {
                Err(error) => reply.acks.push(request.refusal(&error, Some(name))),
                Ok(index) => {
                    reply.acks.push(request.ack(name));
                    if request.subscribes && request.snapshot() {
                        let tick = &*latest[index];
                        let time = timestamp(tick.time, None, MICROS);
                        let write = if request.channel == "ticker" {
                            ticker
                        } else {
                            trade
                        };
                        reply.data.push(write("snapshot", tick, time));
                    }
                }
            }
        }
        reply
    }

    /// Subscribes or unsubscribes one symbol. Returns the reason as an error.
    fn change(
        &mut self,
        request: &Request<'_>,
        index: Option<usize>,
        name: &str,
    ) -> Result<usize, String> {
        let list = match request.channel {
            "ticker" => &mut self.tickers,
            "trade" => &mut self.trades,
            _ => return Err("Event(s) not found".to_owned()),
        };
        let index = index.ok_or_else(|| format!("Currency pair not supported {name}"))?;
        match (request.subscribes, list.contains(&index)) {
            (true, true) => return Err("Already subscribed".to_owned()),
            (true, false) => list.push(index),
            (false, true) => list.retain(|old| *old != index),
            (false, false) => return Err("Subscription Not Found".to_owned()),
        }
        Ok(index)
    }
}

impl Request<'_> {
    fn method(&self) -> &'static str {
        if self.subscribes {
            "subscribe"
        } else {
            "unsubscribe"
        }
    }

    /// Returns whether to send a snapshot. Default: yes for tickers, no for trades.
    fn snapshot(&self) -> bool {
        self.params
            .get("snapshot")
            .and_then(Value::as_bool)
            .unwrap_or(self.channel == "ticker")
    }

    fn ack(&self, symbol: &str) -> String {
        let (method, id, times) = (self.method(), &self.id, &self.times);
        let trigger = self
            .params
            .get("event_trigger")
            .and_then(Value::as_str)
            .unwrap_or("trades");
        let trigger = match self.channel {
            "ticker" => format!(r#""event_trigger":{},"#, quoted(trigger)),
            _ => String::new(),
        };
        let (channel, snapshot, symbol) = (self.channel, self.snapshot(), quoted(symbol));
        let result = format!(
            r#"{{"channel":"{channel}",{trigger}"snapshot":{snapshot},"symbol":{symbol}}}"#
        );
        format!(r#"{{"method":"{method}",{id}"result":{result},"success":true,{times}}}"#)
    }

    fn refusal(&self, error: &str, symbol: Option<&str>) -> String {
        let (error, method, id, times) = (quoted(error), self.method(), &self.id, &self.times);
        let symbol = symbol
            .map(|symbol| format!(r#""symbol":{},"#, quoted(symbol)))
            .unwrap_or_default();
        format!(r#"{{"error":{error},"method":"{method}",{id}"success":false,{symbol}{times}}}"#)
    }
}

impl Protocol for Kraken {
    fn system(&mut self, system: &str) -> Vec<String> {
        let id = self.connection;
        let state = format!(
            r#""version":"2.0.10","system":{},"api_version":"v2""#,
            quoted(system)
        );
        vec![format!(
            r#"{{"channel":"status","type":"update","data":[{{{state},"connection_id":{id}}}]}}"#
        )]
    }

    fn control(&mut self, text: &str, latest: &[Arc<Tick>], now: i64) -> Reply {
        let time = valid_timestamp(now, MICROS);
        let times = format!(r#""time_in":"{time}","time_out":"{time}""#);
        let malformed = |id: &str| {
            Reply::of(format!(
                r#"{{"error":"Malformed request",{id}"success":false,{times}}}"#
            ))
        };
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return malformed("");
        };
        let id = message
            .get("req_id")
            .map(|id| format!(r#""req_id":{id},"#))
            .unwrap_or_default();
        let subscribes = match message.get("method").and_then(Value::as_str) {
            Some("ping") => return Reply::of(format!(r#"{{"method":"pong",{id}{times}}}"#)),
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => return malformed(&id),
        };
        let Some(params) = message.get("params") else {
            return malformed(&id);
        };
        let channel = params
            .get("channel")
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.answer(
            &Request {
                subscribes,
                channel,
                params,
                id,
                times,
            },
            latest,
        )
    }

    fn trade(&mut self, marked: &MarkedTrade) -> Vec<String> {
        let tick = &*marked.tick;
        let index = &tick.instrument.index;
        let time = || timestamp(tick.time, marked.time, MICROS);
        let trade = self
            .trades
            .contains(index)
            .then(|| trade("update", tick, time()));
        let ticker = self
            .tickers
            .contains(index)
            .then(|| ticker("update", tick, time()));
        trade.into_iter().chain(ticker).collect()
    }

    fn unquoted(&mut self, tick: &Tick, _now: i64) -> Vec<String> {
        let subscribed = self.tickers.contains(&tick.instrument.index);
        subscribed
            .then(|| ticker("update", tick, timestamp(tick.time, None, MICROS)))
            .into_iter()
            .collect()
    }

    fn heartbeat(&mut self, _latest: &[Arc<Tick>], _now: i64) -> Vec<String> {
        let subscribed = !self.tickers.is_empty() || !self.trades.is_empty();
        subscribed
            .then(|| r#"{"channel":"heartbeat"}"#.to_owned())
            .into_iter()
            .collect()
    }
}

/// Returns a time field with the comma before the field, or an empty text.
fn field(time: Option<String>) -> String {
    time.map(|time| format!(r#","timestamp":"{time}""#))
        .unwrap_or_default()
}

fn ticker(kind: &str, tick: &Tick, time: Option<String>) -> String {
    let (instrument, day) = (&*tick.instrument, &tick.day);
    let price = |units| instrument.price(units);
    format!(
        concat!(
            r#"{{"channel":"ticker","type":"{}","data":[{{"symbol":"{}","bid":{},"bid_qty":{},"ask":{},"ask_qty":{},"#,
            r#""last":{},"volume":{},"vwap":{},"low":{},"high":{},"change":{},"change_pct":{}{}}}]}}"#
        ),
        kind,
        instrument.name,
        price(tick.bid),
        quantity(tick.bid_quantity),
        price(tick.ask),
        quantity(tick.ask_quantity),
        price(tick.price),
        quantity(day.volume),
        fixed(day.average(), instrument.decimals),
        price(day.low),
        price(day.high),
        price(tick.change()),
        ratio(i128::from(tick.change()) * 100, day.open.into(), 2),
        field(time),
    )
}

fn trade(kind: &str, tick: &Tick, time: Option<String>) -> String {
    let instrument = &*tick.instrument;
    format!(
        concat!(
            r#"{{"channel":"trade","type":"{}","data":[{{"symbol":"{}","side":"{}","price":{},"qty":{},"#,
            r#""ord_type":"market","trade_id":{}{}}}]}}"#
        ),
        kind,
        instrument.name,
        if tick.bought { "buy" } else { "sell" },
        instrument.price(tick.price),
        quantity(tick.quantity),
        tick.id,
        field(time),
    )
}
