//! Whether a server simulates prices.

use std::time::Duration;

use reqwest::Url;

/// How long the answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a server that simulates some.
pub(crate) const SIMULATED: &str = "simulated prices";

/// Asks a server whether it simulates prices; `None` where it does not say.
pub(crate) async fn is_simulated(server: Url) -> Option<bool> {
    let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build().ok()?;
    let answer = http.get(server.join("v1/status").ok()?).send().await.ok()?;
    answer.json::<serde_json::Value>().await.ok()?["simulated"].as_bool()
}
