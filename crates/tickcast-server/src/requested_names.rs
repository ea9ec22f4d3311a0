//! Hints beside a stream: requested symbols that are not on the market, and whether the prices are
//! simulated.

use std::time::Duration;

use reqwest::StatusCode;
use tickcast_client::Event;

use crate::origin;
use crate::remote::Remote;
use crate::words;

/// Maximum number of names to look up. Each name costs a request, and more hints do not help.
const MAX_NAMES: usize = 16;

/// Maximum time for an answer. A missing answer does no harm, because the answer is only a hint.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The requested symbols without a price.
pub(crate) struct RequestedNames {
    server: Remote,
    names: Vec<String>,
    begun: bool,
    /// The delay of the prices, in seconds.
    delay: Option<u64>,
}

impl RequestedNames {
    /// Keeps the names in `symbols`. Patterns are skipped, because a pattern may match symbols that
    /// are added later.
    pub(crate) fn new(server: &Remote, symbols: &[String]) -> Self {
        let names = symbols
            .iter()
            .filter(|name| !name.contains('*'))
            .take(MAX_NAMES)
            .cloned()
            .collect();
        Self {
            server: server.clone(),
            names,
            begun: false,
            delay: None,
        }
    }

    /// Observes the events of the stream. After the first snapshot, two tasks run beside the
    /// stream. One asks the server whether prices are simulated. The other looks up the names
    /// without a price.
    ///
    /// If the prices are delayed, the first event tells.
    pub(crate) fn observe(&mut self, event: &Event, delay: Option<u64>) {
        if std::mem::replace(&mut self.delay, delay) != delay {
            let told = delay.map_or_else(|| "live".to_owned(), words::delayed);
            eprintln!("the prices are {told}");
        }
        match event {
            Event::Tick(tick) => self.names.retain(|name| name != tick.symbol.as_str()),
            Event::Ready(_) if !self.begun => {
                self.begun = true;
                tokio::spawn(tell_origin(self.server.clone()));
                if !self.names.is_empty() {
                    tokio::spawn(warn_about_missing(
                        self.server.clone(),
                        std::mem::take(&mut self.names),
                    ));
                }
            }
            _ => {}
        }
    }
}

/// Prints a message if the server simulates prices.
async fn tell_origin(server: Remote) {
    if origin::is_simulated(server).await == Some(true) {
        eprintln!("{}", origin::SIMULATED);
    }
}

/// Prints the server's answer for each name that is not on the market. The answer also names a
/// symbol that differs only in case.
async fn warn_about_missing(server: Remote, names: Vec<String>) {
    for name in names {
        let Ok(mut url) = server.url.join("v1/prices") else {
            return;
        };
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&name);
        }
        let request = server.http.get(url).timeout(ANSWER_TIMEOUT);
        let Ok(answer) = request.send().await else {
            return;
        };
        if answer.status() == StatusCode::NOT_FOUND {
            let problem: serde_json::Value = answer.json().await.unwrap_or_default();
            problem["detail"]
                .as_str()
                .into_iter()
                .for_each(|detail| eprintln!("{detail}"));
        }
    }
}
