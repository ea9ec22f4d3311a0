//! The header of answers with delayed prices. Most answers have no other place to say it.

use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::Response;

use crate::access::Viewer;
use crate::hub::Hub;

/// The header: the delay in seconds.
const TICKCAST_DELAY: HeaderName = HeaderName::from_static("tickcast-delay");

/// Adds the header to the answers for a viewer of delayed prices.
pub(super) async fn label(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let viewer = request.extensions().get::<Viewer>();
    let market = viewer.and_then(|viewer| hub.behind(viewer.least_delay()).ok());
    let delay = market.and_then(|market| market.delay());
    let delay = delay.map(|delay| delay.as_secs());
    labelled(next.run(request).await, delay)
}

/// Returns the answer with the header, if its prices are delayed by so many seconds.
pub(super) fn labelled(mut response: Response, delay: Option<u64>) -> Response {
    if let Some(delay) = delay {
        response.headers_mut().insert(TICKCAST_DELAY, delay.into());
    }
    response
}
