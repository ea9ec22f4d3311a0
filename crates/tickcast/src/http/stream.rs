//! `GET /prices/stream`: the simple stream.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Problem;
use super::query::Query;
use crate::events::Events;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// When readers come back after a cut, in milliseconds: each draws its own time, so that they do not all come at once.
const RETRY_MS: std::ops::RangeInclusive<u32> = 2000..=5000;

pub(super) async fn prices_stream(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let subscription = Query::parse(query.as_deref()).subscription()?;
    Ok(response(events(&hub, subscription)))
}

/// The events of a subscription, with the lines that open a stream: no blank line after them, so that they belong to the
/// first event's block and everyone sees bytes at once.
pub(crate) fn events(hub: &Hub, subscription: Subscription) -> Events {
    let preamble = Bytes::from(format!("retry: {}\n: tickcast\n", fastrand::u32(RETRY_MS)));
    Events::new(hub.inner().clone(), subscription.at(hub.cursor().seq), Some(preamble))
}

/// A response that streams events. A `HEAD` request gets its head and never subscribes: its body is not read.
pub(crate) fn response(events: Events) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        // Tells nginx and its kin not to collect the stream before they pass it on.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let handoff = events.handoff();
    let mut response = (headers, Body::new(events)).into_response();
    if let Some(handoff) = handoff {
        response.extensions_mut().insert(handoff);
    }
    response
}
