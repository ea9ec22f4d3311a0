//! The streams: `GET /prices/stream`, the simple one, and `GET /v1/stream`, the resumable one.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tickcast_core::render::EventFormat;
use tickcast_core::{CloseReason, EventId, Mode, Notice};

use super::query::Query;
use super::{Problem, schema};
use crate::events::Events;
use crate::hub::Hub;
use crate::lane::RETRY_MS;
use crate::subscription::{Heartbeat, RATE_NEEDS_LATEST, SessionOptions, StreamId, Subscription};

/// The heartbeat of a resumable stream, unless asked otherwise: ten seconds are fewer than any proxy waits.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The headers of a stream.
const HEADERS: [(header::HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
    // Tells nginx and its kin not to collect the stream before they pass it on.
    (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

/// The parameters of both streams.
const SUBSCRIBED: [&str; 3] = ["symbols", "rate", "snapshot"];

/// The parameter in which polyfills of `EventSource` send the last id. The simple stream cannot resume, and ignores it.
const LAST_ID: &str = "lastEventId";

/// Most bytes of a reader's cursor that it is shown again.
const MAX_ECHOED_ID_BYTES: usize = 64;

/// Prices as they move: the simple stream
///
/// First the newest tick of every symbol that is wanted, then each move. A reader that falls behind is given the newest tick of
/// each symbol that moved. Every event is a `tick`, its `id` is the symbol; comments keep the connection open.
#[utoipa::path(
    get,
    path = "/prices/stream",
    tag = "streams",
    params(
        schema::Subscribed,
        ("heartbeat" = Option<u64>, Query, minimum = 3, maximum = 60,
            description = "Seconds of quiet after which a comment is sent. Default: 15."),
    ),
    responses(
        (status = 200, description = "Server-Sent Events that end when either side wants",
            body = schema::Events, content_type = "text/event-stream"),
        (status = 400, response = schema::BadRequest),
    ),
)]
pub(super) async fn prices_stream(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let [symbols, rate, snapshot] = SUBSCRIBED;
    let query = Query::parse(query.as_deref(), &[symbols, rate, snapshot, "heartbeat", LAST_ID])?;
    let subscription = query.subscription()?.heartbeat(query.heartbeat()?);
    Ok(subscribed(&hub, subscription).await)
}

/// Prices as they move: the resumable stream
///
/// Every event's `id` is a cursor: whoever comes back with the last one, in the header `Last-Event-ID` as browsers do by
/// themselves, goes on from there without a gap, or is told `reset`. Events: `status` (how a source or one of its symbols is
/// doing), `tick`, `ready` (the snapshot is complete; names the stream for `PATCH`), `heartbeat`, `gone` (a symbol was taken off
/// the market), `reset` (what was missed is not there any more: a new snapshot follows) and `bye` (why it ends).
#[utoipa::path(
    get,
    path = "/v1/stream",
    tag = "streams",
    params(
        schema::Subscribed,
        schema::Resumed,
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor to go on from; outweighs the query's."),
    ),
    responses(
        (status = 200, description = "Server-Sent Events that end with `bye`",
            body = schema::Events, content_type = "text/event-stream"),
        (status = 400, response = schema::BadRequest),
    ),
)]
pub(super) async fn stream(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [symbols, rate, snapshot] = SUBSCRIBED;
    let known = [symbols, rate, snapshot, "mode", "since", LAST_ID, "heartbeat"];
    let query = Query::parse(query.as_deref(), &known)?;
    let mut subscription = query.subscription()?;
    let mode = query.mode()?;
    if mode == Mode::All && subscription.rate.is_some() {
        return Err(Problem::parameter("rate", RATE_NEEDS_LATEST));
    }
    let mut last = last_event_id(&headers, &query);
    match query.get("since").filter(|_| last.is_none()) {
        None => {}
        Some("start") => subscription = subscription.oldest_first(),
        Some(since) => {
            since
                .parse::<EventId>()
                .map_err(|error| Problem::parameter("since", format!("{error}, or start")))?;
            last = Some(since.into());
        }
    }
    let heartbeat = query.heartbeat()?.map_or(HEARTBEAT, Heartbeat::interval);
    let id = StreamId::random().ok_or_else(|| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system has no randomness to give")
    })?;
    let terms = SessionOptions { id, mode, heartbeat, last, broken: None, unverified: None };
    let subscription = subscription.resumable(terms, hub.head());
    Ok(subscribed(&hub, subscription).await)
}

/// The cursor that a reader says it came to: the header's, which moves on while a browser's URL stays as it was, else the
/// query's. An empty one is none. Whatever else it may be, it is no reason to refuse a stream.
fn last_event_id(headers: &HeaderMap, query: &Query<'_>) -> Option<Box<str>> {
    let header = headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let last = header.as_deref().filter(|last| !last.is_empty());
    let last = last.or_else(|| query.get(LAST_ID).filter(|last| !last.is_empty()))?;
    Some(last.chars().take(MAX_ECHOED_ID_BYTES).collect::<String>().into())
}

/// The stream of a subscription. Its filter is made ready here, not in a lane. Where the server has no room for that, its reader is
/// told to come back, with a status that does not keep a browser from doing so.
async fn subscribed(hub: &Hub, mut subscription: Subscription) -> Response {
    match hub.inner().prepare(subscription.filter.clone()).await {
        Ok(prepared) => {
            subscription.prepared = Some(prepared);
            response(events(hub, subscription))
        }
        Err(refusal) => {
            tracing::debug!(%refusal, "a stream is told to come back");
            let body = busy(subscription.format, fastrand::u32(RETRY_MS));
            (HEADERS, body).into_response()
        }
    }
}

/// What a stream says that has no place. The simple one has no event for it.
pub(crate) fn busy(dialect: EventFormat, retry: u32) -> Vec<u8> {
    let mut out = Vec::new();
    match dialect {
        EventFormat::Simple => out.extend_from_slice(format!("retry: {retry}\n: busy\n").as_bytes()),
        EventFormat::Resumable(..) => Notice::Bye { reason: CloseReason::Busy, retry }.write(None, &mut out),
    }
    out
}

/// The events of a subscription, with the lines that open a stream: no blank line after them, so that they belong to the
/// first event's block and everyone sees bytes at once.
pub(crate) fn events(hub: &Hub, subscription: Subscription) -> Events {
    let preamble = Bytes::from(format!("retry: {}\n: tickcast\n", fastrand::u32(RETRY_MS)));
    Events::new(hub.inner().clone(), subscription.at(hub.head().1), Some(preamble))
}

/// A response that streams events. A `HEAD` request gets its head and never subscribes: its body is not read.
pub(crate) fn response(events: Events) -> Response {
    let handoff = events.handoff();
    let mut response = (HEADERS, Body::new(events)).into_response();
    if let Some(handoff) = handoff {
        response.extensions_mut().insert(handoff);
    }
    response
}
