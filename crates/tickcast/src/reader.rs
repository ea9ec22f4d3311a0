//! Ticks for a task in the same program.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tickcast_core::{Price, Symbol, TickView, Time};

use crate::events::Events;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// One tick as readers are sent it.
#[derive(Debug, Clone)]
pub struct PublishedTick {
    /// What moved.
    pub symbol: Symbol,
    /// Its price.
    pub price: Price,
    /// The change from the reference.
    pub change: Price,
    /// The same in percent, where there is a reference other than zero.
    pub change_pct: Option<Price>,
    /// When it happened.
    pub time: Time,
    /// Its number among its symbol's ticks: a hole says that ticks were merged.
    pub n: u64,
    /// All of it, extras included, as the JSON object that every reader is sent.
    pub json: Bytes,
}

impl PublishedTick {
    /// From the JSON that readers are sent.
    pub(crate) fn read(json: &Bytes) -> Option<Self> {
        let facts = TickView::read(json)?;
        let (price, change, change_pct) = facts.amounts()?;
        Some(Self {
            symbol: facts.symbol,
            price,
            change,
            change_pct,
            time: facts.time,
            n: facts.n,
            json: json.clone(),
        })
    }
}

/// Reads ticks within the same program. Dropping it unsubscribes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tickcast::{Hub, Subscription, Tick};
///
/// let hub = Hub::builder().build();
/// hub.publish(&Tick::from_json(br#"{"symbol":"AAPL","price":189.50}"#).unwrap()).unwrap();
/// let mut reader = hub.subscribe(Subscription::default());
/// let update = reader.next().await.unwrap();
/// assert_eq!((update.symbol.as_str(), update.price.to_string(), update.n), ("AAPL", "189.50".to_owned(), 1));
/// # }
/// ```
pub struct Reader {
    events: Events,
    /// Events that have come and were not returned yet.
    rest: Bytes,
}

impl Hub {
    /// Reads ticks within the same program, on the terms of any other reader: one that falls behind gets newest values.
    ///
    /// # Panics
    /// When first polled outside a tokio runtime.
    #[must_use]
    pub fn subscribe(&self, subscription: Subscription) -> Reader {
        Reader::new(self.events(subscription))
    }
}

impl Reader {
    pub(crate) const fn new(events: Events) -> Self {
        Self { events, rest: Bytes::new() }
    }

    /// The next tick; `None` once the hub has ended the stream.
    pub async fn next(&mut self) -> Option<PublishedTick> {
        loop {
            while let Some(event) = self.next_event() {
                if let Some(update) = json_of(&event).as_ref().and_then(PublishedTick::read) {
                    return Some(update);
                }
            }
            self.rest = poll_fn(|cx| Pin::new(&mut self.events).poll_next(cx)).await?;
        }
    }

    /// Cuts the next event off what has come; pieces are always whole events.
    fn next_event(&mut self) -> Option<Bytes> {
        let end = self.rest.windows(2).position(|pair| pair == b"\n\n")?;
        let event = self.rest.split_to(end);
        self.rest.advance(2);
        Some(event)
    }
}

fn json_of(event: &Bytes) -> Option<Bytes> {
    let line = event.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"data: "))?;
    Some(event.slice_ref(line))
}
