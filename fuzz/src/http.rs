//! A market and its routes in memory, for the bodies that send requests.

use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tickcast::{Hub, Limits, SourceOptions, Tick};
use tower::ServiceExt;

/// The ticks that each market begins with.
pub(crate) const TICKS: [&str; 4] = [
    r#"{"symbol":"AAPL","price":189.50,"time":1782907200000,"bid":189.49}"#,
    r#"{"symbol":"BTC-USD","price":64250.10,"time":1782907201000}"#,
    r#"{"symbol":"BTC/EUR","price":"0.00000100","time":1782907202000,"note":"a,\"b\""}"#,
    r#"{"symbol":"AAPL","price":189.25,"time":1782907203000,"prev_close":188}"#,
];

/// Runs `work` on a runtime of its own. Its clock is paused: if all tasks wait, the next timer is
/// due at once.
pub(crate) fn run<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime
        .expect("a runtime needs nothing but descriptors")
        .block_on(work)
}

/// Returns a market without ticks. Call it within a runtime.
pub(crate) fn empty_hub() -> Hub {
    let limits = Limits::default().symbols(200).tape_ticks(10_000);
    Hub::builder().limits(limits).lanes(1).build()
}

/// Returns a market with ticks. Call it within a runtime.
pub(crate) fn hub() -> Hub {
    let hub = empty_hub();
    for text in TICKS {
        let tick = Tick::from_json(text.as_bytes()).expect("the tick is valid");
        hub.try_publish(&tick).expect("the market has room");
    }
    hub
}

/// Returns all routes of a market, for readers, publishers and probes.
pub(crate) fn routes(hub: &Hub) -> Router {
    let publisher = hub.source("http", SourceOptions::default());
    hub.router()
        .merge(hub.health_router())
        .merge(publisher.router())
}

/// Sends a request to the routes.
pub(crate) async fn answer(routes: Router, request: Request<Body>) -> Response<Body> {
    let Ok(response) = routes.oneshot(request).await;
    response
}

/// Reads an answer to its end.
pub(crate) async fn read(response: Response<Body>) -> Vec<u8> {
    let body = response.into_body().collect().await;
    body.expect("an answer in memory ends well")
        .to_bytes()
        .to_vec()
}

/// Checks that an answer other than 200 is a problem document with the same status. Returns its
/// JSON.
pub(crate) fn check_problem(status: StatusCode, kind: Option<&[u8]>, body: &[u8]) -> Value {
    let shown = String::from_utf8_lossy(body);
    assert!(status.is_client_error(), "{status}: {shown}");
    assert_eq!(
        kind,
        Some(&b"application/problem+json"[..]),
        "{status}: {shown}"
    );
    let problem: Value = serde_json::from_slice(body).expect("a problem is JSON");
    assert_eq!(problem["status"], status.as_u16(), "{shown}");
    problem
}

/// Returns the type of an answer.
pub(crate) fn kind(response: &Response<Body>) -> Option<Vec<u8>> {
    let kind = response.headers().get(header::CONTENT_TYPE)?;
    Some(kind.as_bytes().to_vec())
}
