//! Detection of servers that simulate prices.

use std::time::Duration;

use crate::remote::Remote;

/// Maximum time for the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The message about a server that simulates prices.
pub(crate) const SIMULATED: &str = "simulated prices";

/// Asks a server whether its prices are simulated. Returns `None` if the server does not answer
/// this question.
pub(crate) async fn is_simulated(server: Remote) -> Option<bool> {
    let request = server.http.get(server.url.join("v1/status").ok()?);
    let answer = request.timeout(REQUEST_TIMEOUT).send().await.ok()?;
    answer.json::<serde_json::Value>().await.ok()?["simulated"].as_bool()
}
