//! Whether a server makes its prices up.

use std::time::Duration;

use reqwest::Url;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of prices that are made up.
pub(crate) const SIMULATED: &str = "simulated prices";

/// Asks a server whether it simulates its market. One that does not say so has real prices.
pub(crate) async fn is_simulated(server: Url) -> bool {
    let status = async {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().ok()?;
        let answer = http.get(server.join("v1/status").ok()?).send().await.ok()?;
        answer.json::<serde_json::Value>().await.ok()
    };
    status.await.is_some_and(|status| status["simulated"] == true)
}
