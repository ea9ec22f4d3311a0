//! `POST /drain`: sends the streams to other servers, before this one is stopped.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use tickcast::Hub;
use tickcast::http::Problem;

use crate::fetch_site;
use crate::settings::HumanDuration;

/// The parameter for the time over which the ends of the streams are spread.
const WINDOW: &str = "window";

/// The default of this time, and its maximum.
const DEFAULT_WINDOW: Duration = Duration::from_secs(10);
const MAX_WINDOW: Duration = Duration::from_secs(600);

/// Returns the route `POST /drain`.
pub(crate) fn router(hub: &Hub) -> Router {
    Router::new()
        .route("/drain", post(respond))
        .with_state(hub.clone())
}

async fn respond(
    State(hub): State<Hub>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    fetch_site::refuse_pages(&headers, "drain a server")?;
    let window = window(query.as_deref().unwrap_or_default())?;
    let streams = hub.stats().streams;
    tracing::info!(streams, "draining: all streams end within {window:?}");
    hub.mark_draining();
    tokio::spawn(async move { hub.drain(window).await });
    let answer = json!({"streams": streams, "window_s": window.as_secs_f64()});
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Reads the parameter.
fn window(query: &str) -> Result<Duration, Problem> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let window = match (pairs.next(), pairs.next()) {
        (None, _) => return Ok(DEFAULT_WINDOW),
        (Some((name, window)), None) if name == WINDOW => window,
        _ => {
            let detail = "the only parameter is window, once";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    match window.parse::<HumanDuration>() {
        Ok(window) if window.0 <= MAX_WINDOW => Ok(window.0),
        _ => Err(Problem::parameter(
            WINDOW,
            "expected a time of at most 10m, such as 30s",
        )),
    }
}
