//! Publishers. Each tick has a price that no other tick of its symbol has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use fastrand::Rng;
use serde_json::Value;

use crate::server::TOKEN;

/// The pause between two batches, in ms.
const PAUSE_MS: std::ops::Range<u64> = 5..60;

/// Maximum time for a response. A paused server may need seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes ticks of its symbols until `stop` is set. Returns the acknowledged prices in order.
pub(crate) async fn publish(
    url: String,
    symbols: Vec<String>,
    stop: Arc<AtomicBool>,
    mut rng: Rng,
) -> Result<BTreeMap<String, Vec<String>>> {
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .timeout(RESPONSE_TIMEOUT)
        .build()?;
    let mut acknowledged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        let batch: Vec<(&str, String)> = (0..rng.usize(1..15))
            .map(|_| {
                let symbol = symbols[rng.usize(..symbols.len())].as_str();
                let number = next.entry(symbol).or_default();
                *number += 1;
                (symbol, format!("{number}.{}", rng.u8(10..99)))
            })
            .collect();
        let lines: String = batch
            .iter()
            .map(|(symbol, price)| format!("{{\"symbol\":\"{symbol}\",\"price\":{price}}}\n"))
            .collect();
        let request = http.post(format!("{url}/v1/prices")).bearer_auth(TOKEN);
        let answer = request
            .header("content-type", "application/x-ndjson")
            .body(lines)
            .send()
            .await;
        // If no response arrives, the tape shows whether the server accepted the batch.
        if let Ok(answer) = answer
            && answer.status() == 200
            && let Ok(answer) = answer.json::<Value>().await
        {
            if answer["accepted"].as_u64() != Some(batch.len() as u64) {
                bail!("the server did not accept a whole batch: {answer}");
            }
            for (symbol, price) in batch {
                acknowledged
                    .entry(symbol.to_owned())
                    .or_default()
                    .push(price);
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(PAUSE_MS))).await;
    }
    Ok(acknowledged)
}
