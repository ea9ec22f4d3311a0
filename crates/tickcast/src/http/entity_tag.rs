//! Entity tags: a client that has an answer asks whether the answer still holds.

use std::convert::Infallible;
use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

/// A client may keep the answer, but must ask each time whether it still holds: an old price must
/// never look live. Other readers must not receive the answer from a shared cache.
const ASK_AGAIN: &str = "private, no-cache";

/// The headers that may say who reads. What an answer contains depends on the reader.
const READER_HEADERS: &str = "authorization, cookie";

/// The strong tag of an answer. Answers that differ in one byte have different tags.
pub(super) struct EntityTag(String);

impl EntityTag {
    /// Makes a tag of text without quotes, control characters and spaces.
    pub(super) fn new(text: impl Display) -> Self {
        Self(format!("\"{text}\""))
    }

    /// Checks whether the client has this answer: `If-None-Match` lists the tag. A `*` is ignored,
    /// because it does not say which answer the client has.
    pub(super) fn is_known(&self, asked: &HeaderMap) -> bool {
        let lists = asked.get_all(header::IF_NONE_MATCH).iter();
        lists
            .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
            .any(|tag| {
                let tag = tag.trim_ascii();
                // A proxy that compresses answers makes their tags weak.
                tag.strip_prefix(b"W/").unwrap_or(tag) == self.0.as_bytes()
            })
    }

    /// Returns the answer for a client that has the answer with this tag.
    pub(super) fn not_modified(self) -> Response {
        // Over HTTP/2, hyper would add `content-length: 0` for a body that is known to be empty. The
        // header would have to be the length of the answer that the client has.
        let nothing = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
        self.on((StatusCode::NOT_MODIFIED, nothing).into_response())
    }

    /// Returns an answer with its tag.
    pub(super) fn on(self, mut answer: Response) -> Response {
        let headers = answer.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(self.0) {
            headers.insert(header::ETAG, tag);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN));
            headers.insert(header::VARY, HeaderValue::from_static(READER_HEADERS));
        }
        answer
    }
}

#[cfg(test)]
mod tests;
