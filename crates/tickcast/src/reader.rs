//! Ticks for a task in the same program.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tickcast_core::PublishedTick;

use crate::events::Events;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// A reader of ticks within the same program. Returned by [`Hub::subscribe`]. Dropping the reader
/// unsubscribes.
///
/// [`next`](Self::next) needs no extension trait. The type also implements `futures_core::Stream`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tickcast::{Hub, Subscription, Tick};
///
/// let hub = Hub::builder().build();
/// hub.try_publish(&Tick::from_json(br#"{"symbol":"AAPL","price":189.50}"#).unwrap()).unwrap();
/// let mut reader = hub.subscribe(Subscription::default());
/// let update = reader.next().await.unwrap();
/// assert_eq!((update.symbol.as_str(), update.price.to_string(), update.n), ("AAPL", "189.50".to_owned(), 1));
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    events: Events,
    /// The received events that were not returned yet.
    received: Bytes,
}

impl Hub {
    /// Subscribes within the same program. The same rules apply as for any other reader: a reader
    /// that falls behind receives the newest tick of each symbol (conflation).
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
        Self {
            events,
            received: Bytes::new(),
        }
    }

    /// Returns the next tick, or `None` after the hub has ended the stream. Dropping the future
    /// loses no tick.
    pub async fn next(&mut self) -> Option<PublishedTick> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Removes the next event from the received bytes. Every payload is a whole number of events.
    fn next_event(&mut self) -> Option<Bytes> {
        let end = self.received.windows(2).position(|pair| pair == b"\n\n")?;
        let event = self.received.split_to(end);
        self.received.advance(2);
        Some(event)
    }
}

impl Stream for Reader {
    type Item = PublishedTick;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PublishedTick>> {
        loop {
            while let Some(event) = self.next_event() {
                if let Some(tick) = json_of(&event).and_then(PublishedTick::read) {
                    return Poll::Ready(Some(tick));
                }
            }
            let Some(payload) = ready!(Pin::new(&mut self.events).poll_next(cx)) else {
                return Poll::Ready(None);
            };
            self.received = payload;
        }
    }
}

fn json_of(event: &Bytes) -> Option<Bytes> {
    let line = event
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(b"data: "))?;
    Some(event.slice_ref(line))
}
