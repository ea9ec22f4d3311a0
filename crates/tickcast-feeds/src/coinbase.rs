//! Coinbase Exchange: tickers and matches.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use tickcast::Tick;

use crate::exchange::{
    DecodeError, Exchange, ExchangeLimits, ExchangeProtocol, FeedEvent, FeedPrice, Kind, Sequence,
};
use crate::names::SymbolMap;
use crate::subscription_probe::{Lists, SubscriptionProbe};
use crate::wire::{Extras, Field, excerpt, place_number, trade_number, when_written};

/// The channel to subscribe to for each product. Pass it to [`Coinbase::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoinbaseChannel {
    /// Last price, best bid and ask, and the 24 h range: with each match.
    Ticker,
    /// The same data as `Ticker`, every five seconds.
    TickerBatch,
    /// Trades.
    Matches,
}

impl CoinbaseChannel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Ticker, Self::TickerBatch, Self::Matches];

    /// Returns the exchange's name of the channel, for example `ticker_batch`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::TickerBatch => "ticker_batch",
            Self::Matches => "matches",
        }
    }
}

/// The exchange Coinbase Exchange. Made by [`Coinbase::new`]. Pass it to
/// [`Feed::new`](crate::Feed::new).
#[derive(Debug, Clone)]
pub struct Coinbase {
    names: SymbolMap,
    channel: CoinbaseChannel,
    lists: Lists,
}

impl Coinbase {
    /// The URL of the exchange: `wss://ws-feed.exchange.coinbase.com`.
    pub const URL: &'static str = "wss://ws-feed.exchange.coinbase.com";

    /// Creates the exchange with this channel of these products, such as `BTC-USD`.
    #[must_use]
    pub fn new(names: SymbolMap, channel: CoinbaseChannel) -> Self {
        let lists = Lists::new(names.venue_names());
        Self {
            names,
            channel,
            lists,
        }
    }
}

impl Exchange for Coinbase {
    fn limits(&self) -> ExchangeLimits {
        ExchangeLimits {
            // The exchange allows eight connections per second.
            connect_interval: Duration::from_millis(200),
            // The exchange allows a hundred messages per second.
            send_interval: Duration::from_millis(20),
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
        let Self {
            names,
            channel,
            lists,
        } = self.clone();
        Box::new(Talk {
            names,
            channel,
            asking: lists.ask(),
        })
    }
}

struct Talk {
    names: SymbolMap,
    channel: CoinbaseChannel,
    asking: SubscriptionProbe,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    product_id: Option<Cow<'a, str>>,
    sequence: Option<Field<'a>>,
    trade_id: Option<Field<'a>>,
    price: Option<Field<'a>>,
    size: Option<Field<'a>>,
    last_size: Option<Field<'a>>,
    side: Option<Field<'a>>,
    time: Option<Field<'a>>,
    best_bid: Option<Field<'a>>,
    best_bid_size: Option<Field<'a>>,
    best_ask: Option<Field<'a>>,
    best_ask_size: Option<Field<'a>>,
    open_24h: Option<Field<'a>>,
    high_24h: Option<Field<'a>>,
    low_24h: Option<Field<'a>>,
    volume_24h: Option<Field<'a>>,
    message: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
}

/// The type of a frame. The other fields are ignored.
#[derive(Deserialize)]
struct Type<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl ExchangeProtocol for Talk {
    fn open(&mut self) -> Vec<String> {
        self.ask().into_iter().collect()
    }

    fn on_text(&mut self, frame: &str, heard: &mut Vec<FeedEvent>) -> Result<(), DecodeError> {
        let Type { kind } = serde_json::from_str(frame)?;
        match &*kind {
            "ticker" | "match" | "last_match" | "error" => {}
            "subscriptions" => {
                self.asking.next_confirmed();
                heard.push(self.ask().map_or(FeedEvent::Nothing, FeedEvent::Send));
                return Ok(());
            }
            "heartbeat" | "snapshot" | "l2update" | "status" => {
                heard.push(FeedEvent::Nothing);
                return Ok(());
            }
            other => {
                heard.push(FeedEvent::Unknown(excerpt(other)));
                return Ok(());
            }
        }
        let frame: Frame<'_> = serde_json::from_str(frame)?;
        match &*frame.kind {
            "error" => self.refused(&frame, heard),
            "ticker" => {
                let print = self.ticker(&frame, heard);
                heard.push(FeedEvent::from_print(print));
            }
            _ => {
                let print = self.trade(&frame, heard);
                heard.push(FeedEvent::from_print(print));
            }
        }
        Ok(())
    }
}

impl Talk {
    /// Returns the next subscription.
    fn ask(&mut self) -> Option<String> {
        let channels = [self.channel.name(), "heartbeat"];
        let products = self.asking.next()?;
        let message = serde_json::json!({ "type": "subscribe", "product_ids": products, "channels": channels });
        Some(message.to_string())
    }

    /// Handles a refusal. The exchange refuses a whole list because of one unknown product.
    fn refused(&mut self, frame: &Frame<'_>, heard: &mut Vec<FeedEvent>) {
        let says = frame
            .reason
            .as_deref()
            .or(frame.message.as_deref())
            .unwrap_or("no reason given");
        if self.asking.on_refusal(says, &self.names, heard) {
            heard.push(self.ask().map_or(FeedEvent::Nothing, FeedEvent::Send));
        }
    }

    fn tick(&self, frame: &Frame<'_>) -> Result<Option<Tick>, DecodeError> {
        let name = frame
            .product_id
            .as_deref()
            .ok_or_else(|| DecodeError("product_id is missing".to_owned()))?;
        let symbol = self.names.asked_for(name)?;
        let price = frame
            .price
            .ok_or_else(|| DecodeError("price is missing".to_owned()))?
            .quoted("price")?;
        Ok(price.map(|price| Tick::new(symbol, price)))
    }

    fn ticker(
        &self,
        frame: &Frame<'_>,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(mut tick) = self.tick(frame)? else {
            return Ok(None);
        };
        let number = place_number(frame.sequence, "sequence")?;
        let price = tick.price;
        let mut beside = Extras::new(&mut tick, heard);
        let open = frame
            .open_24h
            .map_or(Ok(None), |open| open.quoted("open_24h"));
        beside.change(open.map(|open| open.map(|open| price.minus(open))));
        beside.decimals(&[
            ("bid", frame.best_bid),
            ("bid_size", frame.best_bid_size),
            ("ask", frame.best_ask),
            ("ask_size", frame.best_ask_size),
            ("size", frame.last_size),
            ("high", frame.high_24h),
            ("low", frame.low_24h),
            ("volume", frame.volume_24h),
        ]);
        // On this channel, `side` is the taker's side.
        beside.side(frame.side.map(|side| side.bought("side")).transpose());
        let id = frame
            .trade_id
            .map(|id| trade_number(Some(id), "trade_id"))
            .transpose();
        if let Some(id) = beside.keep_or_note(id) {
            beside.trade_id(id);
        }
        let (when, _) = when_written(frame.time);
        Ok(Some(FeedPrice {
            tick,
            when,
            kind: Kind::Ticker,
            place: Sequence::Rising(number),
            snapshot: false,
        }))
    }

    fn trade(
        &self,
        frame: &Frame<'_>,
        heard: &mut Vec<FeedEvent>,
    ) -> Result<Option<FeedPrice>, DecodeError> {
        let Some(mut tick) = self.tick(frame)? else {
            return Ok(None);
        };
        let number = trade_number(frame.trade_id, "trade_id")?;
        let mut beside = Extras::new(&mut tick, heard);
        beside.decimals(&[("size", frame.size)]);
        // On this channel, `side` is the maker's side.
        beside.side(
            frame
                .side
                .map(|side| side.bought("side").map(|bought| !bought))
                .transpose(),
        );
        beside.trade_id(number);
        let (when, _) = when_written(frame.time);
        let snapshot = frame.kind == "last_match";
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
    use crate::EventTime;

    fn talk(names: &[&str]) -> Box<dyn ExchangeProtocol> {
        let names = SymbolMap::new(names.iter().map(|name| ((*name).to_owned(), None))).unwrap();
        Coinbase::new(names, CoinbaseChannel::Ticker).new_connection()
    }

    fn hear(talk: &mut dyn ExchangeProtocol, frame: &str) -> Vec<FeedEvent> {
        let mut heard = Vec::new();
        talk.on_text(frame, &mut heard).unwrap();
        heard
    }

    #[test]
    fn a_ticker_is_decoded() {
        let frame = r#"{"type":"ticker","sequence":99000000123,"product_id":"BTC-USD","price":"64250.10","open_24h":"64000.00",
            "volume_24h":"9876.5","low_24h":"63500.01","high_24h":"64990","best_bid":"64250.14","best_ask":"64250.15",
            "side":"buy","time":"2026-07-01T12:00:00.223456Z","trade_id":900000001,"last_size":"0.0153"}"#;
        let heard = hear(&mut *talk(&["BTC-USD"]), frame);
        let [FeedEvent::Price(print)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(print.tick.price.to_string(), "64250.10");
        assert_eq!(print.tick.change.unwrap().to_string(), "250.10");
        assert_eq!(
            (print.when, print.place),
            (
                EventTime::At(1_782_907_200_223),
                Sequence::Rising(99_000_000_123)
            )
        );
        assert_eq!(
            std::str::from_utf8(print.tick.extras.as_json()).unwrap(),
            ",\"change_basis\":\"24h\",\"bid\":64250.14,\"ask\":64250.15,\"size\":0.0153,\"high\":64990,\"low\":63500.01,\
             \"volume\":9876.5,\"side\":\"buy\",\"trade_id\":900000001"
        );
    }

    #[test]
    fn an_unknown_product_does_not_affect_the_others() {
        let mut talk = talk(&["BTC-USD", "FOO-BAR"]);
        assert!(talk.open()[0].contains(r#""product_ids":["BTC-USD","FOO-BAR"]"#));
        let error = r#"{"type":"error","message":"Failed to subscribe","reason":"FOO-BAR is not a valid product"}"#;
        let says = |heard: Vec<FeedEvent>| match heard.into_iter().next_back() {
            Some(FeedEvent::Send(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(says(hear(&mut *talk, error)).contains(r#"["BTC-USD"]"#));
        assert!(
            says(hear(
                &mut *talk,
                r#"{"type":"subscriptions","channels":[]}"#
            ))
            .contains(r#"["FOO-BAR"]"#)
        );
        let heard = hear(&mut *talk, error);
        let [FeedEvent::Refused { symbol, why }, FeedEvent::Nothing] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(
            (symbol.as_str(), why.as_str()),
            (
                "FOO-BAR",
                "the exchange refuses: FOO-BAR is not a valid product"
            )
        );
        assert!(
            matches!(&hear(&mut *talk, error)[..], [FeedEvent::Failed(_)]),
            "nothing had been asked for"
        );
    }

    #[test]
    fn an_invalid_extra_field_does_not_discard_the_price() {
        let frame = r#"{"type":"ticker","sequence":9,"product_id":"BTC-USD","price":"1.50","open_24h":"NaN","best_bid":"1.4",
            "best_bid_size":"","side":5,"time":17,"trade_id":"x"}"#;
        let heard = hear(&mut *talk(&["BTC-USD"]), frame);
        let Some(FeedEvent::Price(print)) = heard.last() else {
            panic!("{heard:?}")
        };
        assert_eq!(
            (print.tick.extras.as_json(), print.when),
            (&br#","bid":1.4"#[..], EventTime::Unreadable)
        );
        assert_eq!(
            (heard.len(), print.tick.change),
            (5, None),
            "open, size, side and id are noted: {heard:?}"
        );
    }

    #[test]
    fn a_trade_has_the_side_of_the_taker() {
        let frame = r#"{"type":"match","trade_id":5,"sequence":9,"product_id":"BTC-USD","price":"1.50","size":"2","side":"sell",
            "time":"2026-07-01T12:00:00Z","maker_order_id":"a","taker_order_id":"b"}"#;
        let heard = hear(&mut *talk(&["BTC-USD"]), frame);
        let [FeedEvent::Price(print)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(
            print.tick.extras.as_json(),
            br#","size":2,"side":"buy","trade_id":5"#
        );
        assert_eq!(print.place, Sequence::Each(5));
    }
}
