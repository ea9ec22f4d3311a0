//! Reading prices within the same program: an alert when a price crosses a limit.
//!
//! Run `cargo run -p tickcast --example reader`. The program ends after the first alert.

use std::time::Duration;

use tickcast::{Filter, Hub, Price, Subscription, Symbol, Tick};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().build();
    // A reader in the program has the same terms as any client: if it falls behind, it receives the
    // latest values.
    let mut reader = hub.subscribe(Subscription::to(Filter::parse(["AAPL"])?));

    let publisher = hub.clone();
    tokio::spawn(async move {
        let symbol = Symbol::new("AAPL").expect("a valid symbol");
        for cents in (18_950..).step_by(25) {
            let price = Price::from_units(cents, 2).expect("two decimals");
            publisher
                .publish(&Tick::new(symbol, price))
                .await
                .expect("room for one symbol");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });

    let limit: Price = "190.00".parse()?;
    while let Some(tick) = reader.next().await {
        println!("{} {}", tick.symbol, tick.price);
        if tick.price >= limit {
            println!("alert: {} reached {}", tick.symbol, tick.price);
            break;
        }
    }
    Ok(())
}
