//! A `tokio::sync::broadcast` channel that an application already has, as a stream for browsers.
//!
//! Run `cargo run -p tickcast --example channel`, then `curl -N 127.0.0.1:3000/prices/stream`.

use std::time::Duration;

use axum::Router;
use tickcast::{PriceTick, routes};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (sender, _) = broadcast::channel(1024);
    let app = Router::new().merge(routes(sender.clone()));

    tokio::spawn(async move {
        for step in 0.. {
            let change = f64::from(step % 100) / 100.0;
            // An error only says that there is no client now.
            let _ = sender.send(PriceTick {
                symbol: "AAPL".to_owned(),
                price: 189.5 + change,
                change,
            });
            tokio::time::sleep(Duration::from_millis(500)).await;
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
