//! A fake and a client over an in-memory pipe, under a paused clock.

mod exchanges;
mod faults;
mod rules;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{Exchange, Fake, Options};

const NOON: i64 = 1_782_907_200_000;

/// Returns the path, the first symbol and the subscription to tickers (and trades) of each
/// exchange.
fn subscription(exchange: Exchange) -> (&'static str, &'static str, &'static str) {
    match exchange {
        Exchange::Binance => (
            "/stream",
            "BTCUSDT",
            r#"{"method":"SUBSCRIBE","params":["btcusdt@ticker","btcusdt@aggTrade"],"id":1}"#,
        ),
        Exchange::Coinbase => (
            "/",
            "BTC-USD",
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker","matches","heartbeat"]}"#,
        ),
        Exchange::Advanced => (
            "/",
            "BTC-USD",
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"ticker"}"#,
        ),
        Exchange::Kraken => (
            "/v2",
            "BTC/USD",
            r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"]},"req_id":7}"#,
        ),
    }
}

fn fake(exchange: Exchange) -> Fake {
    let mut options = Options::new(exchange, &[subscription(exchange).1]);
    options.start = NOON;
    Fake::start(options)
}

struct Client(WebSocketStream<DuplexStream>);

async fn connect(fake: &Fake, path: &str) -> Result<Client, Error> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let fake = fake.clone();
    tokio::spawn(async move { fake.serve(far).await });
    client_async(format!("ws://fake{path}"), near)
        .await
        .map(|(socket, _)| Client(socket))
}

/// Connects and subscribes, then reads the acknowledgement and the snapshots.
async fn subscribed(exchange: Exchange) -> (Fake, Client) {
    let fake = fake(exchange);
    let mut client = connect(&fake, subscription(exchange).0)
        .await
        .expect("accepted");
    client.send(subscription(exchange).2).await;
    let before = match exchange {
        Exchange::Binance => 1,
        Exchange::Coinbase | Exchange::Kraken => 3,
        Exchange::Advanced => 2,
    };
    for _ in 0..before {
        client.json().await;
    }
    (fake, client)
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// Returns the next message that is no ping, or the end of the connection.
    async fn next(&mut self) -> Option<Result<Message, Error>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Ping(_))) => self.0.flush().await.expect("ponged"),
                other => return other,
            }
        }
    }

    async fn text(&mut self) -> String {
        let message = self
            .next()
            .await
            .expect("a message")
            .expect("a valid message");
        message.into_text().expect("text").to_string()
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }

    /// Returns the next message that contains this text.
    async fn json_with(&mut self, part: &str) -> Value {
        loop {
            let text = self.text().await;
            if text.contains(part) {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Returns all texts within `time`.
    async fn all(&mut self, time: Duration) -> Vec<String> {
        let mut texts = Vec::new();
        let end = tokio::time::Instant::now() + time;
        while let Ok(text) = tokio::time::timeout_at(end, self.text()).await {
            texts.push(text);
        }
        texts
    }
}

/// Waits until all pending work is done.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}
