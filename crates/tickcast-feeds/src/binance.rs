//! Binance Spot: combined streams. Prices as of its documents of 2026-07.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickcast::{ChangeBasis, Tick};

use crate::exchange::{Conversation, Exchange, Garbled, Heard, Kind, Limits, Place, Print, When};
use crate::names::Names;
use crate::wire::{Decimal, excerpt, extras, push_side, push_trade_id, quoted, when_ms};

/// Streams named in one message: far below any limit on its length.
const TOGETHER: usize = 200;

/// What is sent of each symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinanceStream {
    /// Last price, best bid and ask, rolling 24 h change: once a second.
    Ticker,
    /// Best bid and ask, whenever they move. The price is halfway between.
    BookTicker,
    /// Trades, those of one order together.
    AggTrade,
}

impl BinanceStream {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Ticker, Self::BookTicker, Self::AggTrade];

    /// As the exchange calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::BookTicker => "bookTicker",
            Self::AggTrade => "aggTrade",
        }
    }
}

/// Binance Spot.
#[derive(Debug, Clone)]
pub struct Binance {
    names: Names,
    stream: BinanceStream,
}

impl Binance {
    /// Where it is.
    pub const URL: &'static str = "wss://stream.binance.com:9443";

    /// This stream of these symbols: upper case, such as `BTCUSDT`.
    #[must_use]
    pub const fn new(names: Names, stream: BinanceStream) -> Self {
        Self { names, stream }
    }
}

impl Exchange for Binance {
    fn limits(&self) -> Limits {
        Limits {
            // It allows 300 in five minutes.
            connect_every: Duration::from_millis(1_200),
            // It allows five a second, pongs among them.
            say_every: Duration::from_millis(300),
            // It pings every 20 s.
            pulse: Duration::from_secs(60),
            // It cuts after 24 h.
            life: Some(Duration::from_secs(23 * 3600 + 1800)),
            symbols: 1024,
        }
    }

    fn path(&self) -> &'static str {
        "/stream"
    }

    fn converse(&self) -> Box<dyn Conversation> {
        Box::new(self.clone())
    }
}

/// Around every message of a combined stream; answers stand alone.
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

/// What a message is: one without a name and with an update id is a `bookTicker`.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    u: Option<u64>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(rename = "E")]
    time: Option<i64>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    c: Decimal<'a>,
    p: Option<Decimal<'a>>,
    #[serde(rename = "Q")]
    size: Option<Decimal<'a>>,
    b: Option<Decimal<'a>>,
    #[serde(rename = "B")]
    bid_size: Option<Decimal<'a>>,
    a: Option<Decimal<'a>>,
    #[serde(rename = "A")]
    ask_size: Option<Decimal<'a>>,
    h: Option<Decimal<'a>>,
    l: Option<Decimal<'a>>,
    v: Option<Decimal<'a>>,
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    u: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    b: Decimal<'a>,
    #[serde(rename = "B")]
    bid_size: Option<Decimal<'a>>,
    a: Decimal<'a>,
    #[serde(rename = "A")]
    ask_size: Option<Decimal<'a>>,
}

#[derive(Deserialize)]
struct AggTrade<'a> {
    #[serde(rename = "T")]
    time: Option<i64>,
    #[serde(borrow)]
    s: Cow<'a, str>,
    a: u64,
    p: Decimal<'a>,
    q: Option<Decimal<'a>>,
    m: Option<bool>,
}

impl Conversation for Binance {
    fn open(&mut self) -> Vec<String> {
        let streams: Vec<_> = self
            .names
            .theirs()
            .map(|name| format!("{}@{}", name.to_lowercase(), self.stream.name()))
            .collect();
        let messages = streams.chunks(TOGETHER).zip(1..);
        messages
            .map(|(params, id)| {
                serde_json::json!({ "method": "SUBSCRIBE", "params": params, "id": id }).to_string()
            })
            .collect()
    }

    fn hear(&mut self, frame: &str, heard: &mut Vec<Heard>) -> Result<(), Garbled> {
        let envelope: Envelope<'_> = serde_json::from_str(frame)?;
        if let Some(says) = envelope.error.map(|error| error.msg).or(envelope.msg) {
            heard.push(Heard::Failed(format!("it refuses: {}", excerpt(&says))));
            return Ok(());
        }
        if envelope.id.is_some() && envelope.data.is_none() {
            heard.push(Heard::Nothing);
            return Ok(());
        }
        let data = envelope.data.map_or(frame, RawValue::get);
        let head: Head<'_> = serde_json::from_str(data)?;
        heard.push(match (head.e.as_deref(), head.u) {
            (Some("24hrTicker"), _) => Heard::from_print(self.ticker(&serde_json::from_str(data)?)),
            (Some("aggTrade"), _) => Heard::from_print(self.trade(&serde_json::from_str(data)?)),
            (None, Some(_)) => Heard::from_print(self.quote(&serde_json::from_str(data)?)),
            (Some("serverShutdown"), _) => Heard::Leaving,
            (Some("depthUpdate" | "kline" | "24hrMiniTicker" | "trade" | "avgPrice"), _) => Heard::Nothing,
            (Some(other), _) => Heard::Unknown(excerpt(other)),
            (None, None) => {
                Heard::Unknown(excerpt(envelope.stream.as_deref().unwrap_or("a frame without a name")))
            }
        });
        Ok(())
    }
}

impl Binance {
    fn ticker(&self, ticker: &Ticker<'_>) -> Result<Option<Print>, Garbled> {
        let Some(price) = ticker.c.quoted("c")? else { return Ok(None) };
        let mut tick = Tick::new(self.names.asked_for(&ticker.s)?, price);
        tick.change = ticker.p.map(|change| change.value("p")).transpose()?;
        tick.extras = extras(
            tick.change.map(|_| ChangeBasis::Rolling24h),
            &[
                ("bid", ticker.b),
                ("bid_size", ticker.bid_size),
                ("ask", ticker.a),
                ("ask_size", ticker.ask_size),
                ("size", ticker.size),
                ("high", ticker.h),
                ("low", ticker.l),
                ("volume", ticker.v),
            ],
        )?;
        let place = Place::Time(ticker.time.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0));
        Ok(Some(Print { tick, when: when_ms(ticker.time), kind: Kind::Ticker, place, snapshot: false }))
    }

    fn quote(&self, quote: &BookTicker<'_>) -> Result<Option<Print>, Garbled> {
        let (Some(bid), Some(ask)) = (quoted(Some(quote.b), "b")?, quoted(Some(quote.a), "a")?) else {
            return Ok(None);
        };
        let middle = bid.middle(ask).ok_or_else(|| Garbled("b and a have too many digits".to_owned()))?;
        let mut tick = Tick::new(self.names.asked_for(&quote.s)?, middle);
        let sizes = [("bid_size", quote.bid_size), ("ask_size", quote.ask_size)];
        tick.extras = extras(None, &[("bid", Some(quote.b)), sizes[0], ("ask", Some(quote.a)), sizes[1]])?;
        let place = Place::Rising(quote.u);
        Ok(Some(Print { tick, when: When::Unsaid, kind: Kind::Quote, place, snapshot: false }))
    }

    fn trade(&self, trade: &AggTrade<'_>) -> Result<Option<Print>, Garbled> {
        let Some(price) = trade.p.quoted("p")? else { return Ok(None) };
        let mut tick = Tick::new(self.names.asked_for(&trade.s)?, price);
        tick.extras = extras(None, &[("size", trade.q)])?;
        // Where the buyer waited, the seller came.
        push_side(&mut tick.extras, trade.m.map(|buyer_made| if buyer_made { "sell" } else { "buy" }));
        push_trade_id(&mut tick.extras, trade.a)?;
        let place = Place::Each(trade.a);
        Ok(Some(Print { tick, when: when_ms(trade.time), kind: Kind::Trade, place, snapshot: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(frame: &str) -> Result<Heard, Garbled> {
        let names = Names::new([("BTCUSDT".to_owned(), Some("BTC/USD".to_owned()))]).unwrap();
        let mut heard = Vec::new();
        Binance::new(names, BinanceStream::Ticker).hear(frame, &mut heard)?;
        Ok(heard.pop().unwrap())
    }

    fn print(frame: &str) -> Print {
        match hear(frame) {
            Ok(Heard::Price(print)) => *print,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_stream_by_its_text() {
        let ticker = print(
            r#"{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1782907200123,"s":"BTCUSDT","p":"-640.00000000",
            "P":"1.000","c":"64640.00000000","Q":"0.01","b":"64639.99000000","B":"1.5","a":"0.00000000","A":"0.0",
            "h":"64900.0","l":"63550.0","v":"18250.123"}}"#,
        );
        assert_eq!(
            (ticker.tick.symbol.as_str(), ticker.tick.price.to_string().as_str()),
            ("BTC/USD", "64640.00000000")
        );
        assert_eq!(ticker.tick.change.unwrap().to_string(), "-640.00000000");
        assert_eq!(ticker.when, When::At(1_782_907_200_123));
        assert_eq!(
            std::str::from_utf8(ticker.tick.extras.as_json()).unwrap(),
            r#","change_basis":"24h","bid":64639.99000000,"bid_size":1.5,"size":0.01,"high":64900.0,"low":63550.0,"volume":18250.123"#
        );
        let quote = print(
            r#"{"stream":"btcusdt@bookTicker","data":{"u":7,"s":"BTCUSDT","b":"1.00","B":"2","a":"1.01","A":"3"}}"#,
        );
        assert_eq!((quote.tick.price.to_string().as_str(), quote.place), ("1.005", Place::Rising(7)));
        let trade = print(
            r#"{"e":"aggTrade","E":1,"s":"BTCUSDT","a":9,"p":"1e-7","q":"4","f":1,"l":2,"T":5,"m":true,"M":true}"#,
        );
        assert_eq!((trade.tick.price.to_string().as_str(), trade.place), ("0.0000001", Place::Each(9)));
        assert_eq!(trade.tick.extras.as_json(), br#","size":4,"side":"sell","trade_id":9"#);
    }

    #[test]
    fn what_is_no_price() {
        let heard = |frame| format!("{:?}", hear(frame));
        assert_eq!(heard(r#"{"result":null,"id":1}"#), "Ok(Nothing)");
        assert_eq!(
            heard(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#),
            "Ok(Leaving)"
        );
        assert_eq!(heard(r#"{"e":"news"}"#), "Ok(Unknown(\"news\"))");
        assert_eq!(heard(r#"{"u":7,"s":"BTCUSDT","b":"0.0","a":"1"}"#), "Ok(Unquoted)");
        for refusal in
            [r#"{"code":3,"msg":"Invalid JSON"}"#, r#"{"error":{"code":4,"msg":"Invalid JSON"},"id":1}"#]
        {
            assert_eq!(heard(refusal), "Ok(Failed(\"it refuses: Invalid JSON\"))");
        }
        for garbled in
            [r#"{"u":7,"s":"BTCUSDT","b":"-1","a":"1"}"#, r#"{"u":7,"s":"ETHUSDT","b":"1","a":"1"}"#]
        {
            assert!(heard(garbled).starts_with("Ok(Garbled("), "{}", heard(garbled));
        }
        assert!(hear("{").is_err() && hear(r#"{"e":"aggTrade"}"#).is_err());
    }
}
