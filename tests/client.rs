//! A reader of streams. Its parser is not part of this project.

use std::pin::Pin;

use eventsource_stream::{Event, Eventsource};
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::server::{TIMEOUT, TestServer};

/// One stream of events.
pub(crate) struct Reader(Pin<Box<dyn Stream<Item = Result<Event, String>> + Send>>);

/// A tick as a reader receives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReceivedTick {
    pub(crate) symbol: String,
    /// The price as it is written.
    pub(crate) price: String,
    pub(crate) n: u64,
    pub(crate) json: Value,
}

impl Reader {
    /// Opens `/prices/stream` with `query`.
    pub(crate) async fn open(server: &TestServer, query: &str) -> Self {
        Self::get(
            &server.http,
            &format!("{}/prices/stream{query}", server.public),
        )
        .await
    }

    pub(crate) async fn get(http: &reqwest::Client, url: &str) -> Self {
        Self::send(http.get(url)).await
    }

    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Self {
        let response = request
            .header("accept", "text/event-stream")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let events = response.bytes_stream().eventsource();
        Self(Box::pin(
            events.map(|event| event.map_err(|error| error.to_string())),
        ))
    }

    /// Returns the next event, or `None` if the stream has ended cleanly.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let event = tokio::time::timeout(TIMEOUT, self.0.next())
            .await
            .expect("no event arrived");
        event.map(|event| event.expect("the stream broke off"))
    }

    /// Returns the next event for which `condition` is true. Skips all events before.
    pub(crate) async fn until(&mut self, condition: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.event().await.expect("the stream has ended");
            if condition(&event) {
                return event;
            }
        }
    }

    /// Returns the name of the stream from its next `ready` event.
    pub(crate) async fn stream(&mut self) -> String {
        let ready = self.until(|event| event.event == "ready").await;
        serde_json::from_str::<Value>(&ready.data).unwrap()["stream"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Returns the next tick.
    pub(crate) async fn tick(&mut self) -> ReceivedTick {
        let event = self.event().await.expect("the stream has ended");
        assert_eq!(event.event, "tick");
        let json: Value = serde_json::from_str(&event.data).unwrap();
        let symbol = json["symbol"].as_str().unwrap().to_owned();
        assert_eq!(event.id, symbol);
        ReceivedTick {
            symbol,
            price: raw_field(&event.data, "price"),
            n: json["n"].as_u64().unwrap(),
            json,
        }
    }

    /// Returns the next `count` ticks, each as `SYMBOL n=price`.
    pub(crate) async fn ticks(&mut self, count: usize) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let tick = self.tick().await;
            seen.push(format!("{} {}={}", tick.symbol, tick.n, tick.price));
        }
        seen
    }
}

/// Returns a member of a JSON object as it is written.
pub(crate) fn raw_field(json: &str, name: &str) -> String {
    let members: std::collections::HashMap<String, &RawValue> = serde_json::from_str(json).unwrap();
    members[name].get().to_owned()
}
