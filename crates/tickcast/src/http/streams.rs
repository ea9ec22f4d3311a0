//! `POST /v1/streams`: prepares a stream. `GET` and `DELETE /v1/streams/{stream}`: reads a prepared
//! stream, and ends a stream.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tickcast_core::{Filter, Mode, Time};

use super::Problem;
use super::body;
use super::change::{self, MAX_BODY_BYTES, no_stream, parse_id};
use super::delay::labelled;
use super::query::{NoParameters, Query};
#[cfg(feature = "openapi")]
use super::schema;
use super::stream::{HEARTBEAT, LAST_ID, RESUMABLE, SINCE, busy, new_id, resumed, subscribed};
use super::view::{OpenStreams, StreamView, View, WantedStream};
use crate::subscription::{
    HEARTBEATS, Heartbeat, LINGER, RATE_NEEDS_LATEST, SessionOptions, Subscription,
};

/// Prepare a stream
///
/// The answer names a stream to be read with `GET /v1/streams/{stream}`: with no header, no long
/// list in the address, and within what the client may read now. Whoever knows the name may read
/// the stream, change it and end it. Several clients may read it at a time; a change is for all of
/// them.
///
/// The stream ends when the permission of the client ends, and 60 seconds after its last reader.
#[cfg_attr(feature = "openapi", utoipa::path(
    post,
    path = "/v1/streams",
    tag = "streams",
    request_body = schema::NewStream,
    responses(
        (status = 201, description = "The name and the address of the stream", body = schema::PreparedStream,
            headers(("Location" = String, description = "The address of the stream."))),
        (status = 400, response = schema::BadRequest),
        (status = 401, response = schema::LoginNeeded),
        (status = 403, response = schema::Forbidden),
        (status = 408, response = schema::RequestTimeout),
        (status = 413, description = "The body has more than 256 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The client has 100 prepared streams", body = Problem, content_type = "application/problem+json"),
        (status = 503, response = schema::ServerBusy),
    ),
))]
pub(super) async fn prepare(
    view: View,
    _: NoParameters,
    OriginalUri(uri): OriginalUri,
    body: Body,
) -> Result<Response, Problem> {
    let wanted = wanted(&body::read_all(body, MAX_BODY_BYTES, view.answers()).await?)?;
    let id = new_id()?;
    let stream = view.prepare(id, &wanted)?;
    let url = format!("{}/{id}", uri.path().trim_end_matches('/'));
    let created = json!({
        "stream": id.to_string(),
        "url": url,
        "expires": stream.expires.map(Time::as_millis),
        "linger": LINGER.as_secs(),
    });
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, url)],
        Json(created),
    )
        .into_response())
}

/// Read a prepared stream
///
/// The events are those of `/v1/stream`. `ready` has the name of the prepared stream. A client that
/// reconnects with the header `Last-Event-ID` continues without a gap, also if the stream was
/// changed while the client was away.
#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/v1/streams/{stream}",
    tag = "streams",
    params(
        ("stream" = String, Path, description = "Name of the stream, as in the answer of `POST /v1/streams`."),
        ("since" = Option<String>, Query, description = "The cursor to resume from, or `start`: the oldest tick."),
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor to resume from. This header takes precedence over the query."),
    ),
    responses(
        (status = 200, description = "Server-Sent Events that end with `bye`",
            body = schema::Events, content_type = "text/event-stream"),
        (status = 400, response = schema::BadRequest),
        (status = 404, description = "The stream does not exist or has ended: prepare another", body = Problem,
            content_type = "application/problem+json"),
    ),
))]
pub(super) async fn read(
    streams: OpenStreams,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &[SINCE, LAST_ID])?;
    let id = parse_id(path)?;
    let Some((stream, effective, view)) = streams.prepared(id) else {
        let detail = "there is no prepared stream with this name, or it has ended; prepare another with POST /v1/streams";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let mut subscription = Subscription::to(effective.filter);
    if !stream.snapshot {
        subscription = subscription.without_snapshot();
    }
    let (subscription, last) = resumed(subscription, &headers, &query)?;
    let terms = SessionOptions {
        id,
        mode: effective.mode,
        heartbeat: stream.heartbeat,
        last,
        broken: None,
        unverified: None,
        viewer: effective.viewer,
        prepared_stream: Some(stream),
    };
    match view {
        StreamView::View(view) => {
            let subscription = subscription.resumable(terms, view.head());
            let stream = subscribed(&view, subscription).await?;
            Ok(labelled(stream, view.delay()))
        }
        StreamView::NotYet => Ok(busy(RESUMABLE)),
    }
}

/// End a stream
///
/// Its readers receive `bye` with the reason `deleted`.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete,
    path = "/v1/streams/{stream}",
    tag = "streams",
    params(("stream" = String, Path, description = "Name of the stream, as in its `ready` event or in the answer of `POST /v1/streams`.")),
    responses(
        (status = 204, description = "The stream has ended"),
        (status = 400, response = schema::BadRequest),
        (status = 404, description = "The stream does not exist or has ended", body = Problem,
            content_type = "application/problem+json"),
    ),
))]
pub(super) async fn delete(
    streams: OpenStreams,
    _: NoParameters,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    match streams.delete(parse_id(path)?).await {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(no_stream()),
    }
}

/// Parses the body of `POST /v1/streams`.
fn wanted(body: &[u8]) -> Result<WantedStream, Problem> {
    const MEMBERS: &str = "symbols, rate, mode, heartbeat or snapshot";
    let members: Map<String, Value> = match body.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(body).map_err(|error| {
            let detail = format!("the body is not a JSON object with {MEMBERS}: {error}");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })?,
    };
    let mut wanted = WantedStream {
        filter: Filter::all(),
        mode: Mode::Latest,
        rate: None,
        heartbeat: HEARTBEAT,
        snapshot: true,
    };
    for (name, value) in &members {
        match name.as_str() {
            "symbols" => wanted.filter = change::filter("symbols", value)?,
            "rate" => wanted.rate = change::rate(value)?,
            "mode" => {
                wanted.mode = match value.as_str() {
                    Some("latest") => Mode::Latest,
                    Some("all") => Mode::All,
                    _ => return Err(Problem::parameter("mode", "expected \"latest\" or \"all\"")),
                }
            }
            "heartbeat" => wanted.heartbeat = heartbeat(value)?,
            "snapshot" => {
                let flag = value.as_bool();
                let refused = || Problem::parameter("snapshot", "expected true or false");
                wanted.snapshot = flag.ok_or_else(refused)?;
            }
            _ => return Err(change::unknown_member(name, MEMBERS)),
        }
    }
    match wanted.mode == Mode::All && wanted.rate.is_some() {
        true => Err(Problem::parameter("rate", RATE_NEEDS_LATEST)),
        false => Ok(wanted),
    }
}

fn heartbeat(value: &Value) -> Result<std::time::Duration, Problem> {
    let seconds = value
        .as_u64()
        .and_then(|seconds| u8::try_from(seconds).ok());
    let heartbeat = seconds
        .and_then(Heartbeat::seconds)
        .map(Heartbeat::interval);
    heartbeat.ok_or_else(|| {
        let (min, max) = (HEARTBEATS.start(), HEARTBEATS.end());
        Problem::parameter("heartbeat", format!("expected {min} to {max} seconds"))
    })
}
