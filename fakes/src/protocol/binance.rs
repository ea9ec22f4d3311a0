//! Binance Spot: combined and raw streams, five control methods, and decimals as strings.

use std::sync::Arc;

use serde_json::Value;

use super::interface::{Protocol, Reply, list, quoted};
use crate::decimal::{fixed, quantity, ratio};
use crate::events::MarkedTrade;
use crate::market::Tick;
use crate::timestamp::millis;

/// Maximum number of streams per connection.
const MAX_STREAMS: usize = 1024;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Minimum time in ms between two tickers of a symbol: one second, minus the jitter of a timer.
const MIN_TICKER_INTERVAL_MS: i64 = 950;

const METHODS: &str =
    "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";

#[derive(Debug, Clone, Copy, Default)]
struct Selected {
    ticker: bool,
    book: bool,
    aggregate: bool,
    trade: bool,
    /// The time of the last ticker.
    last_ticker: Option<i64>,
}

pub(super) struct Binance {
    /// The subscribed streams, known or unknown. Unknown streams are acknowledged and send nothing.
    streams: Vec<String>,
    /// The wanted messages of each symbol.
    selected: Vec<Selected>,
    combined: bool,
    /// The factor from milliseconds to the connection's time unit.
    unit: i64,
}

impl Binance {
    pub(super) fn new(path: &str, latest: &[Arc<Tick>]) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parameter = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let combined = path.starts_with("/stream");
        let named = if combined {
            parameter("streams=")
        } else {
            path.strip_prefix("/ws/")
        };
        let streams = named.map(decoded).unwrap_or_default();
        let micros =
            parameter("timeUnit=").is_some_and(|unit| unit.eq_ignore_ascii_case("MICROSECOND"));
        let mut new = Self {
            streams: streams
                .split('/')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            selected: vec![Selected::default(); latest.len()],
            combined,
            unit: if micros { 1000 } else { 1 },
        };
        new.resolve(latest);
        new
    }

    /// Derives the wanted messages of each symbol from the streams.
    fn resolve(&mut self, latest: &[Arc<Tick>]) {
        for (selected, tick) in self.selected.iter_mut().zip(latest) {
            let has = |kind: &str| {
                let kind_of =
                    |name: &String| name.strip_prefix(&tick.instrument.lower) == Some(kind);
                self.streams.iter().any(kind_of)
            };
            let last_ticker = selected.last_ticker;
            *selected = Selected {
                ticker: has("@ticker"),
                book: has("@bookTicker"),
                aggregate: has("@aggTrade"),
                trade: has("@trade"),
                last_ticker,
            };
        }
    }

    fn answer(&mut self, text: &str, latest: &[Arc<Tick>]) -> Result<Reply, String> {
        let request: Value = serde_json::from_str(text).map_err(|wrong| {
            let (line, column) = (wrong.line(), wrong.column());
            error(
                3,
                &format!("Invalid JSON: expected value at line {line} column {column}"),
            )
        })?;
        let column = text.len();
        let method = request
            .get("method")
            .and_then(Value::as_str)
            .ok_or_else(|| {
                error(
                    2,
                    &format!("Invalid request: missing field `method` at line 1 column {column}"),
                )
            })?;
        let id = request
            .get("id")
            .filter(|id| is_id(id))
            .ok_or_else(|| error(2, "Invalid request: request ID must be an unsigned integer"))?;
        let none = Vec::new();
        let params = request
            .get("params")
            .and_then(Value::as_array)
            .unwrap_or(&none);
        let result = match method {
            "SUBSCRIBE" => self.subscribe(&names(params), id)?,
            "UNSUBSCRIBE" => {
                let names = names(params);
                self.streams
                    .retain(|stream| !names.contains(&stream.as_str()));
                "null".to_owned()
            }
            "LIST_SUBSCRIPTIONS" => list(self.streams.iter().map(String::as_str)),
            "SET_PROPERTY" => self.set_property(params, id)?,
            "GET_PROPERTY" => {
                is_combined(params, 1, id)?;
                self.combined.to_string()
            }
            _ => {
                let what = format!(
                    "unknown variant {method}, expected one of {METHODS} at line 1 column {column}"
                );
                return Err(error(2, &format!("Invalid request: {what}")));
            }
        };
        self.resolve(latest);
        Ok(Reply {
            subscribes: method == "SUBSCRIBE",
            ..Reply::of(format!(r#"{{"result":{result},"id":{id}}}"#))
        })
    }

    fn subscribe(&mut self, names: &[&str], id: &Value) -> Result<String, String> {
        let mut fresh: Vec<String> = Vec::new();
        for &name in names {
            if !self
                .streams
                .iter()
                .chain(&fresh)
                .any(|stream| stream == name)
            {
                fresh.push(name.to_owned());
            }
        }
        if self.streams.len() + fresh.len() > MAX_STREAMS {
            return Err(format!(
                r#"{{"error":{{"code":4,"msg":"Too many subscriptions"}},"id":{id}}}"#
            ));
        }
        self.streams.append(&mut fresh);
        Ok("null".to_owned())
    }

    fn set_property(&mut self, params: &[Value], id: &Value) -> Result<String, String> {
        is_combined(params, 2, id)?;
        let value = params.get(1).and_then(Value::as_bool);
        self.combined = value.ok_or_else(|| error(1, "Invalid value type: expected Boolean"))?;
        Ok("null".to_owned())
    }

    fn wrapped(&self, stream: &str, data: String) -> String {
        if self.combined {
            format!(r#"{{"stream":"{stream}","data":{data}}}"#)
        } else {
            data
        }
    }

    /// Returns a time field with its comma, or an empty text.
    fn time(&self, key: &str, time: Option<i64>) -> String {
        time.map(|time| format!(r#""{key}":{},"#, time * self.unit))
            .unwrap_or_default()
    }

    fn ticker(&self, tick: &Tick, event: Option<i64>) -> String {
        let instrument = &*tick.instrument;
        let price = |units| instrument.price(units);
        let day = &tick.day;
        let data = format!(
            concat!(
                r#"{{"e":"24hrTicker",{}"s":"{}","p":"{}","P":"{}","w":"{}","x":"{}","c":"{}","Q":"{}","b":"{}","B":"{}","#,
                r#""a":"{}","A":"{}","o":"{}","h":"{}","l":"{}","v":"{}","q":"{}","O":{},"C":{},"F":{},"L":{},"n":{}}}"#
            ),
            self.time("E", event),
            instrument.name,
            price(tick.change()),
            ratio(i128::from(tick.change()) * 100, day.open.into(), 3),
            fixed(day.average(), instrument.decimals),
            price(day.before),
            price(tick.price),
            quantity(tick.quantity),
            price(tick.bid),
            quantity(tick.bid_quantity),
            price(tick.ask),
            quantity(tick.ask_quantity),
            price(day.open),
            price(day.high),
            price(day.low),
            quantity(day.volume),
            fixed(day.turnover / 10_i128.pow(instrument.decimals), 8),
            (tick.time - DAY_MS).max(0) * self.unit,
            tick.time * self.unit,
            day.first,
            tick.id,
            if day.first == 0 {
                0
            } else {
                tick.id + 1 - day.first
            },
        );
        self.wrapped(&format!("{}@ticker", instrument.lower), data)
    }

    fn book(&self, tick: &Tick) -> String {
        let instrument = &*tick.instrument;
        let data = format!(
            r#"{{"u":{},"s":"{}","b":"{}","B":"{}","a":"{}","A":"{}"}}"#,
            tick.sequence,
            instrument.name,
            instrument.price(tick.bid),
            quantity(tick.bid_quantity),
            instrument.price(tick.ask),
            quantity(tick.ask_quantity),
        );
        self.wrapped(&format!("{}@bookTicker", instrument.lower), data)
    }

    fn aggregate(&self, tick: &Tick, time: Option<i64>) -> String {
        let id = tick.id;
        self.trade_message(
            "aggTrade",
            ("a", &format!(r#""f":{id},"l":{id},"#)),
            tick,
            time,
        )
    }

    fn single(&self, tick: &Tick, time: Option<i64>) -> String {
        self.trade_message("trade", ("t", ""), tick, time)
    }

    /// Returns a message of one of the two trade streams. The streams differ in the key of the
    /// trade number and in `extra_fields`, which follow the quantity.
    fn trade_message(
        &self,
        stream: &str,
        (number, extra_fields): (&str, &str),
        tick: &Tick,
        time: Option<i64>,
    ) -> String {
        let instrument = &*tick.instrument;
        let data = format!(
            r#"{{"e":"{stream}",{}"s":"{}","{number}":{},"p":"{}","q":"{}",{extra_fields}{}"m":{},"M":true}}"#,
            self.time("E", time),
            instrument.name,
            tick.id,
            instrument.price(tick.price),
            quantity(tick.quantity),
            self.time("T", time),
            !tick.bought,
        );
        self.wrapped(&format!("{}@{stream}", instrument.lower), data)
    }
}

impl Protocol for Binance {
    fn control(&mut self, text: &str, latest: &[Arc<Tick>], _now: i64) -> Reply {
        self.answer(text, latest).unwrap_or_else(Reply::of)
    }

    fn trade(&mut self, marked: &MarkedTrade) -> Vec<String> {
        let tick = &*marked.tick;
        let index = tick.instrument.index;
        let selected = self.selected[index];
        let time = millis(tick.time, marked.time);
        let mut texts = Vec::new();
        let waits = selected
            .last_ticker
            .is_some_and(|last_ticker| tick.time - last_ticker < MIN_TICKER_INTERVAL_MS);
        if selected.ticker && (marked.forced || !waits) {
            self.selected[index].last_ticker = Some(tick.time);
            texts.push(self.ticker(tick, time));
        }
        if selected.book {
            texts.push(self.book(tick));
        }
        if selected.aggregate {
            texts.push(self.aggregate(tick, time));
        }
        if selected.trade {
            texts.push(self.single(tick, time));
        }
        texts
    }

    fn unquoted(&mut self, tick: &Tick, _now: i64) -> Vec<String> {
        let selected = self.selected[tick.instrument.index];
        let ticker = selected.ticker.then(|| self.ticker(tick, Some(tick.time)));
        ticker
            .into_iter()
            .chain(selected.book.then(|| self.book(tick)))
            .collect()
    }

    fn restart_notice(&mut self, now: i64) -> Vec<String> {
        let time = now * self.unit;
        vec![self.wrapped(
            "!serverShutdown",
            format!(r#"{{"e":"serverShutdown","E":{time}}}"#),
        )]
    }
}

fn error(code: u8, message: &str) -> String {
    format!(r#"{{"code":{code},"msg":{}}}"#, quoted(message))
}

fn names(params: &[Value]) -> Vec<&str> {
    params.iter().filter_map(Value::as_str).collect()
}

fn is_id(id: &Value) -> bool {
    let text_fits = |text: &str| {
        text.chars().count() <= 36
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    id.is_null() || id.as_i64().is_some() || id.as_str().is_some_and(text_fits)
}

/// Checks that the parameters name the only property, and that the number of parameters is at most
/// `max`.
fn is_combined(params: &[Value], max: usize, id: &Value) -> Result<(), String> {
    let name = params.first().and_then(Value::as_str);
    let name = name.ok_or_else(|| error(2, "Invalid request: property name must be a string"))?;
    if name != "combined" {
        return Err(format!(
            r#"{{"code":0,"msg":"Unknown property","id":{id}}}"#
        ));
    }
    if params.len() > max {
        Err(error(2, "Invalid request: too many parameters"))
    } else {
        Ok(())
    }
}

/// Decodes percent encoding. Clients may encode `@` and the letters of some symbols.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|code| str::from_utf8(code).ok())
            .filter(|_| *first == b'%');
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
