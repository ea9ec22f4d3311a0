//! `PATCH /v1/streams/{stream}`: changes the symbols or the rate of a stream without a new
//! connection.

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use tickcast_core::{Filter, FilterError};

use super::query::NoParameters;
#[cfg(feature = "openapi")]
use super::schema;
use super::view::OpenStreams;
use super::{Problem, body};
use crate::rate::Rate;
use crate::subscription::{Edit, EditError, Effective, StreamId};

/// Maximum size of a change, in bytes. The limit is above three full lists of the longest names. A
/// list that is too long thus gets a precise error.
pub(super) const MAX_BODY_BYTES: usize = 256 << 10;

/// Change an open stream
///
/// The client receives the snapshot of the added symbols, then `ready`. A change of a prepared
/// stream is for all its readers, also for later ones.
#[cfg_attr(feature = "openapi", utoipa::path(
    patch,
    path = "/v1/streams/{stream}",
    tag = "streams",
    params(("stream" = String, Path, description = "Name of the stream, as in its `ready` event or in the answer of `POST /v1/streams`.")),
    request_body = schema::Change,
    responses(
        (status = 200, description = "The new subscription of the stream", body = schema::Changed),
        (status = 400, response = schema::BadRequest),
        (status = 403, response = schema::Forbidden),
        (status = 404, description = "The stream does not exist or has ended", body = Problem,
            content_type = "application/problem+json"),
        (status = 408, response = schema::RequestTimeout),
        (status = 413, description = "The body has more than 256 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "More than 10 changes of the stream within this second; rejected changes count, too", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The filters of other clients leave no capacity for these symbols, or the server is stopping", body = Problem,
            content_type = "application/problem+json"),
    ),
))]
pub(super) async fn change(
    streams: OpenStreams,
    _: NoParameters,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let id = parse_id(path)?;
    let edit = edit(&body::read_all(body, MAX_BODY_BYTES, streams.answers()).await?)?;
    match streams.change(id, edit).await {
        None => Err(no_stream()),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(Effective {
            filter, mode, rate, ..
        })) => Ok(Json(json!({
            "stream": id.to_string(),
            "symbols": filter.entries().collect::<Vec<_>>(),
            "mode": mode.as_str(),
            "rate": rate.map(Rate::rate),
        }))),
    }
}

/// Delay before a retry, in seconds.
const RETRY_AFTER: u32 = 1;

pub(super) fn no_stream() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "the stream does not exist or has ended",
    )
}

/// Returns the name of a stream in the path.
pub(super) fn parse_id(path: Result<Path<String>, PathRejection>) -> Result<StreamId, Problem> {
    let id = path.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(no_stream)
}

/// Parses the requested change.
fn edit(body: &[u8]) -> Result<Edit, Problem> {
    let members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not a JSON object with add, remove, set or rate: {error}"),
        )
    })?;
    let mut edit = Edit::default();
    for (name, value) in &members {
        match name.as_str() {
            "add" => edit.add = Some(filter("add", value)?),
            "remove" => edit.remove = Some(filter("remove", value)?),
            "set" => edit.set = Some(filter("set", value)?),
            "rate" => edit.rate = Some(rate(value)?),
            _ => return Err(unknown_member(name, "add, remove, set or rate")),
        }
    }
    Ok(edit)
}

/// Returns 400 for a member that is not expected.
pub(super) fn unknown_member(name: &str, expected: &str) -> Problem {
    let shown: String = name.chars().take(24).collect();
    let detail = format!("unknown member {shown:?} (expected {expected})");
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Parses a list of names and patterns. An empty list matches no symbol.
pub(super) fn filter(member: &'static str, value: &Value) -> Result<Filter, Problem> {
    let refuse = |detail: &dyn std::fmt::Display| Problem::parameter(member, detail);
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let list = list.ok_or_else(|| refuse(&"expected a list of symbols"))?;
    match Filter::parse(list) {
        Err(FilterError::Empty) => Ok(Filter::none()),
        filter => filter.map_err(|error| refuse(&error)),
    }
}

pub(super) fn rate(value: &Value) -> Result<Option<Rate>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let rate = value
        .as_f64()
        .ok_or_else(|| Problem::parameter("rate", "expected a number or null"))?;
    Ok(Some(Rate::per_second(rate)?))
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Add(error) => Self::parameter("add", error),
            EditError::Remove(error) => Self::parameter("remove", error),
            EditError::Denied(denied) => denied.into(),
            EditError::Rate => Self::parameter("rate", crate::subscription::RATE_NEEDS_LATEST),
            EditError::Refused(refusal) => refusal.into(),
            EditError::NoRoom(full) => full.into(),
            EditError::TooSoon(error) => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string());
                let wait = error.retry_after();
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                problem.retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
            }
            EditError::Outdated => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(RETRY_AFTER)
            }
        }
    }
}
