//! Live prices in an Axum application of your own.
//!
//! Run `cargo run -p tickcast --example embed`, then
//! `curl -N '127.0.0.1:3000/prices/stream?symbols=AAPL'`.

use std::time::Duration;

use axum::{Router, routing::get};
use tickcast::{Hub, Price, Symbol, Tick};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().build();
    let app = Router::new()
        .route("/", get(|| async { "try /prices/stream" }))
        .merge(hub.router());

    let publisher = hub.clone();
    tokio::spawn(async move {
        let symbol = Symbol::new("AAPL").expect("a valid symbol");
        for cents in (18_950..).step_by(5) {
            let price = Price::from_units(cents, 2).expect("two decimals");
            publisher
                .publish(&Tick::new(symbol, price))
                .await
                .expect("room for one symbol");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tickcast::serve(listener, app).await;
    Ok(())
}
