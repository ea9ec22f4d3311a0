//! What is said beside a stream: which symbols that were asked for are not on the market, and whether prices are simulated.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use tickcast_client::Event;

use crate::origin;

/// At most so many names are looked up: each costs a request, and more hints help nobody.
const MAX_NAMES: usize = 16;

/// How long an answer may take. It is only a hint.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The symbols that were asked for and have no price yet.
pub(crate) struct RequestedNames {
    server: Url,
    names: Vec<String>,
    begun: bool,
}

impl RequestedNames {
    /// Takes the names among `symbols`, not the patterns: these may match symbols that come later.
    pub(crate) fn new(server: &Url, symbols: &[String]) -> Self {
        let names = symbols.iter().filter(|name| !name.contains('*')).take(MAX_NAMES).cloned().collect();
        Self { server: server.clone(), names, begun: false }
    }

    /// Follows the stream. After the first snapshot it asks whether prices are simulated, and looks up the names without a price, beside
    /// the stream.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::Tick(tick) => self.names.retain(|name| name != tick.symbol.as_str()),
            Event::Ready(_) if !self.begun => {
                self.begun = true;
                tokio::spawn(tell_origin(self.server.clone()));
                if !self.names.is_empty() {
                    tokio::spawn(warn_about_missing(self.server.clone(), std::mem::take(&mut self.names)));
                }
            }
            _ => {}
        }
    }
}

/// Says so where prices are simulated.
async fn tell_origin(server: Url) {
    if origin::is_simulated(server).await == Some(true) {
        eprintln!("{}", origin::SIMULATED);
    }
}

/// Prints the server's answer for each name that is not on the market; it names a symbol that differs only in case.
async fn warn_about_missing(server: Url, names: Vec<String>) {
    let Ok(http) = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build() else { return };
    for name in names {
        let Ok(mut url) = server.join("v1/prices") else { return };
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&name);
        }
        let Ok(answer) = http.get(url).send().await else { return };
        if answer.status() == StatusCode::NOT_FOUND {
            let problem: serde_json::Value = answer.json().await.unwrap_or_default();
            problem["detail"].as_str().into_iter().for_each(|detail| eprintln!("{detail}"));
        }
    }
}
