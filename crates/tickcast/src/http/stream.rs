//! The stream routes: `GET /prices/stream` (simple) and `GET /v1/stream` (resumable).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tickcast_core::sse::EventFormat;
use tickcast_core::{Epoch, EventId, Mode, sse};

use super::Problem;
use super::query::Query;
#[cfg(feature = "openapi")]
use super::schema;
use super::view::{AcceptedStream, StreamView, View};
use crate::access::Viewer;
use crate::events::Events;
use crate::hub::Hub;
use crate::lane::RETRY_MS;
use crate::subscription::{Heartbeat, RATE_NEEDS_LATEST, SessionOptions, StreamId, Subscription};

/// The default heartbeat of a resumable stream: ten seconds, shorter than the idle timeout of any
/// proxy.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// The format of a resumable stream that has no market yet. Its events have no ids.
pub(super) const RESUMABLE: EventFormat = EventFormat::Resumable(Epoch::new(0), None);

/// The headers of a stream.
const HEADERS: [(header::HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    ),
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    ),
    // This header tells nginx and similar proxies not to buffer the stream.
    (
        header::HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
];

/// The parameters of both streams.
const SUBSCRIBED: [&str; 3] = ["symbols", "rate", "snapshot"];

/// The parameter in which polyfills of `EventSource` send the last id. The simple stream cannot
/// resume and ignores the parameter.
pub(super) const LAST_ID: &str = "lastEventId";

/// The parameter for a client of its own that sends its last id.
pub(super) const SINCE: &str = "since";

/// Maximum number of bytes of a reader's cursor that are sent back to the reader.
const MAX_ECHOED_ID_BYTES: usize = 64;

/// Simple stream of live prices
///
/// The stream first sends the latest tick of every requested symbol, then each new tick. A client
/// that falls behind receives the latest tick of each symbol that changed (conflation). Every event
/// is a `tick`, and its `id` is the symbol. Comments serve as a keep-alive.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/prices/stream",
    tag = "streams",
    params(
        schema::Subscribed,
        ("heartbeat" = Option<u64>, Query, minimum = 3, maximum = 60,
            description = "Number of seconds without an event after which a comment is sent. Default: 15."),
    ),
    responses(
        (status = 200, description = "Server-Sent Events that the client or the server can end at any time",
            body = schema::Events, content_type = "text/event-stream"),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
    ),
))]
pub(super) async fn prices_stream(
    view: StreamView,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let [symbols, rate, snapshot] = SUBSCRIBED;
    let query = Query::parse(
        query.as_deref(),
        &[symbols, rate, snapshot, "heartbeat", LAST_ID],
    )?;
    let subscription = query.subscription()?.heartbeat(query.heartbeat()?);
    match view {
        StreamView::View(view) => subscribed(&view, subscription).await,
        StreamView::NotYet => Ok(busy(subscription.format)),
    }
}

/// Resumable stream of live prices
///
/// The `id` of every event is a cursor. A client that reconnects with the last cursor in the header
/// `Last-Event-ID`, as browsers do automatically, continues without a gap or receives `reset`.
///
/// Events:
/// - `status`: the health of a source or of one of its symbols.
/// - `tick`: a new price.
/// - `ready`: the snapshot is complete; the event has the stream's name for `PATCH`.
/// - `heartbeat`: the keep-alive.
/// - `gone`: a symbol was removed from the market.
/// - `reset`: the missed ticks are no longer available, and a new snapshot follows.
/// - `bye`: the reason why the stream ends.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/stream",
    tag = "streams",
    params(
        schema::Subscribed,
        schema::Resumed,
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor to resume from. This header takes precedence over the query."),
    ),
    responses(
        (status = 200, description = "Server-Sent Events that end with `bye`",
            body = schema::Events, content_type = "text/event-stream"),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
    ),
))]
pub(super) async fn stream(
    view: StreamView,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [symbols, rate, snapshot] = SUBSCRIBED;
    let known = [symbols, rate, snapshot, "mode", SINCE, LAST_ID, "heartbeat"];
    let query = Query::parse(query.as_deref(), &known)?;
    let subscription = query.subscription()?;
    let mode = query.mode()?;
    if mode == Mode::All && subscription.rate.is_some() {
        return Err(Problem::parameter("rate", RATE_NEEDS_LATEST));
    }
    let (subscription, last) = resumed(subscription, &headers, &query)?;
    let terms = SessionOptions {
        id: new_id()?,
        mode,
        heartbeat: query.heartbeat()?.map_or(HEARTBEAT, Heartbeat::interval),
        last,
        broken: None,
        unverified: None,
        viewer: Viewer::default(),
        prepared_stream: None,
    };
    match view {
        StreamView::View(view) => {
            subscribed(&view, subscription.resumable(terms, view.head())).await
        }
        StreamView::NotYet => Ok(busy(RESUMABLE)),
    }
}

/// Returns the name of a new stream.
pub(super) fn new_id() -> Result<StreamId, Problem> {
    let problem = "the system cannot provide random numbers";
    StreamId::random().ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, problem))
}

/// Returns the subscription with the start that the reader asks for, and the cursor that the reader
/// received last.
pub(super) fn resumed(
    subscription: Subscription,
    headers: &HeaderMap,
    query: &Query<'_>,
) -> Result<(Subscription, Option<Box<str>>), Problem> {
    let last = last_event_id(headers, query);
    match query.get(SINCE).filter(|_| last.is_none()) {
        None => Ok((subscription, last)),
        Some("start") => Ok((subscription.oldest_first(), None)),
        Some(since) => {
            since
                .parse::<EventId>()
                .map_err(|error| Problem::parameter(SINCE, format!("{error}, and not start")))?;
            Ok((subscription, Some(since.into())))
        }
    }
}

/// Returns the cursor that the reader received last. The header has priority, because a browser
/// updates the header but not the URL. Without a header, the query is used. An empty cursor counts
/// as none. An invalid cursor is no reason to refuse the stream.
fn last_event_id(headers: &HeaderMap, query: &Query<'_>) -> Option<Box<str>> {
    let header = headers
        .get("last-event-id")
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let last = header.as_deref().filter(|last| !last.is_empty());
    let last = last.or_else(|| query.get(LAST_ID).filter(|last| !last.is_empty()))?;
    Some(
        last.chars()
            .take(MAX_ECHOED_ID_BYTES)
            .collect::<String>()
            .into(),
    )
}

/// Returns the response for a subscription. The filter is prepared here, not in a lane. If the
/// server has no capacity for the filter, or the subject for the stream, the response tells the reader to come back later. The
/// status is then still 200, because a browser would not reconnect after another status.
pub(super) async fn subscribed(
    view: &View,
    subscription: Subscription,
) -> Result<Response, Problem> {
    let format = subscription.format;
    Ok(match view.subscribe(subscription).await? {
        Ok(AcceptedStream {
            subscription,
            places,
        }) => {
            let events = events(view.streams(), subscription);
            response(match places {
                (None, None, None) => events,
                places => events.keeping(Arc::new(places)),
            })
        }
        Err(refusal) => {
            tracing::debug!(%refusal, "a stream is refused; the client will reconnect later");
            busy(format)
        }
    })
}

/// Returns the response that tells the reader to come back later.
pub(super) fn busy(format: EventFormat) -> Response {
    (HEADERS, sse::busy(format, fastrand::u32(RETRY_MS))).into_response()
}

/// Returns the events of a subscription after the opening lines.
pub(crate) fn events(hub: &Hub, subscription: Subscription) -> Events {
    let preamble = Bytes::from(sse::preamble(fastrand::u32(RETRY_MS)));
    Events::new(
        hub.inner().clone(),
        hub.started(subscription),
        Some(preamble),
    )
}

/// Returns a response that streams events. A `HEAD` request receives only the headers and never
/// subscribes, because its body is not read.
pub(crate) fn response(events: Events) -> Response {
    let handoff = events.handoff();
    let mut response = (HEADERS, Body::new(events)).into_response();
    if let Some(handoff) = handoff {
        response.extensions_mut().insert(handoff);
    }
    response
}
