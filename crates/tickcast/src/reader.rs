//! Ticks for a task in the same program.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tickcast_core::{Price, Symbol, TickView, Time};

use crate::events::Events;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// One tick, in the form that readers receive.
#[derive(Debug, Clone)]
pub struct PublishedTick {
    /// The symbol of the tick.
    pub symbol: Symbol,
    /// The price of the symbol.
    pub price: Price,
    /// The change from the reference price.
    pub change: Price,
    /// The change in percent, if the reference price is not zero.
    pub change_pct: Option<Price>,
    /// The time of the price.
    pub time: Time,
    /// The number of the tick within its symbol. A gap in the numbers means that ticks were conflated.
    pub n: u64,
    /// The whole tick with its extras, as the JSON object that every reader receives.
    pub json: Bytes,
}

impl PublishedTick {
    /// Parses the JSON that readers receive.
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

/// A reader of ticks within the same program. Dropping the reader unsubscribes.
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
    /// The received events that were not returned yet.
    rest: Bytes,
}

impl Hub {
    /// Subscribes within the same program. The same rules apply as for any other reader: a reader that falls
    /// behind receives the newest tick of each symbol (conflation).
    ///
    /// # Panics
    /// If the first poll happens outside a tokio runtime.
    #[must_use]
    pub fn subscribe(&self, subscription: Subscription) -> Reader {
        Reader::new(self.events(subscription))
    }
}

impl Reader {
    pub(crate) const fn new(events: Events) -> Self {
        Self { events, rest: Bytes::new() }
    }

    /// Returns the next tick, or `None` after the hub has ended the stream.
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

    /// Removes the next event from the received bytes. Every payload is a whole number of events.
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
