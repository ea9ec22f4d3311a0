//! A bot: reads prices, and publishes an index of them as a symbol of its own.
//!
//! Run `cargo run -p tickcast --example bot`, then
//! `curl -N '127.0.0.1:3000/prices/stream?symbols=INDEX'`.

use std::collections::BTreeMap;
use std::time::Duration;

use tickcast::{Filter, Hub, Price, SourceOptions, Subscription, Symbol, Tick};
use tokio::net::TcpListener;

/// The middle of the highest and the lowest of the latest prices.
async fn index(hub: Hub) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // A source of its own: it has its own counters, and becomes stale by itself.
    let publisher = hub.source("index", SourceOptions::default());
    let mut reader = hub.subscribe(Subscription::to(Filter::parse(["A", "B", "C"])?));
    let mut latest: BTreeMap<Symbol, Price> = BTreeMap::new();
    while let Some(tick) = reader.next().await {
        latest.insert(tick.symbol, tick.price);
        let range = latest.values().copied();
        let middle = range
            .clone()
            .min()
            .zip(range.max())
            .and_then(|(low, high)| low.middle(high));
        if let Some(price) = middle {
            let index = Tick::new(Symbol::new("INDEX")?, price);
            publisher.publish(&index).await?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().build();
    tokio::spawn(index(hub.clone()));

    let publisher = hub.clone();
    tokio::spawn(async move {
        let symbols = ["A", "B", "C"].map(|name| Symbol::new(name).expect("a valid symbol"));
        for (step, symbol) in symbols.into_iter().cycle().enumerate() {
            let price =
                Price::from_units(10_000 + (step * 7919 % 500) as i64, 2).expect("two decimals");
            publisher
                .publish(&Tick::new(symbol, price))
                .await
                .expect("room for three symbols");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tickcast::serve(listener, hub.router()).await;
    Ok(())
}
