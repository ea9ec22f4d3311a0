//! Answers, as far as a test reads them.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};

/// An answer, or the beginning of a stream.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Reads an answer to its end, or a stream to its first tick.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let mut response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let is_stream = headers
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        let mut body = String::new();
        while let Some(bytes) = response.chunk().await.unwrap() {
            body.push_str(std::str::from_utf8(&bytes).unwrap());
            let begun = ["ready", "tick", "bye"].map(|event| format!("event: {event}\n"));
            let begun = begun.iter().any(|event| body.contains(event));
            if is_stream && begun && body.ends_with("\n\n") {
                break;
            }
        }
        Self {
            status,
            headers,
            body,
        }
    }

    /// Returns all that a client could compare, with the name of the symbol replaced.
    pub(super) fn without(mut self, symbol: &str) -> (StatusCode, HeaderMap, String) {
        self.headers.remove("date");
        (self.status, self.headers, self.body.replace(symbol, "_"))
    }
}
