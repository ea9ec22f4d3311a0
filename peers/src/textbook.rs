//! The textbook: prices in a broadcast channel, streamed with Axum's `Sse`, as in the documentation
//! of both.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

#[derive(Clone, Serialize, Deserialize)]
struct PriceTick {
    symbol: String,
    price: f64,
    #[serde(default)]
    change: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (ticks, _) = broadcast::channel::<PriceTick>(1024);
    let app = Router::new()
        .route("/prices/stream", get(stream))
        .route("/v1/prices", post(publish))
        .with_state(ticks);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn stream(
    State(ticks): State<broadcast::Sender<PriceTick>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(ticks.subscribe()).filter_map(|tick| async move {
        let tick = tick.ok()?;
        let event = Event::default()
            .event("tick")
            .id(&tick.symbol)
            .json_data(&tick)
            .ok()?;
        Some(Ok(event))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Parses NDJSON and sends each tick to the channel.
async fn publish(State(ticks): State<broadcast::Sender<PriceTick>>, body: Body) -> &'static str {
    let (mut pieces, mut rest) = (body.into_data_stream(), Vec::new());
    while let Some(Ok(piece)) = pieces.next().await {
        rest.extend_from_slice(&piece);
        let end = rest
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        for line in rest[..end].split(|b| *b == b'\n') {
            if let Ok(tick) = serde_json::from_slice(line) {
                let _ = ticks.send(tick);
            }
        }
        rest.drain(..end);
    }
    "taken"
}
