//! Access: a token says what its reader may read, or its publisher may publish.

mod issuer;
mod key;
mod key_set;
mod keys;
mod origins;
mod presented;
mod publishers;
mod revoked;
mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tickcast::Hub;
use tickcast::access::UnknownYet;
use tickcast::http::{NoParameters, Problem};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use key::TokenError;
pub(crate) use key::issuer_and_sub;
use keys::Keys;
pub(crate) use origins::Origins;
use presented::PresentedError;
pub(crate) use presented::{ACCESS_TOKEN, has_token};
pub(crate) use publishers::check_token;
pub(crate) use settings::{AccessSettings, AccessTable, SigningKey, shared_secret};

/// The beginning of the paths that name a stream.
const NAMED_STREAMS: &str = "/v1/streams/";

/// Checks the tokens of readers.
struct Access {
    hub: Hub,
    keys: Arc<Keys>,
    cookie: Option<String>,
    origins: Origins,
}

/// Returns the routes for readers. If the settings ask for tokens, each request must have one.
pub(crate) fn router(hub: &Hub, settings: AccessSettings, origins: Origins) -> Router {
    let routes = hub.router();
    let AccessSettings::Token { keys, cookie, .. } = settings else {
        return routes;
    };
    let access = Access {
        hub: hub.clone(),
        keys,
        cookie,
        origins,
    };
    routes.layer(middleware::from_fn_with_state(Arc::new(access), identify))
}

/// Returns the probes of a server whose readers need tokens. They do not say why the server is not
/// ready: the admin listener does.
pub(crate) fn quiet_health_router(hub: &Hub) -> Router {
    let hub = hub.clone();
    let ready = async move |_: NoParameters| {
        let ready = hub.reasons_not_ready().is_empty();
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(json!({"ready": ready, "reasons": []})))
    };
    Router::new()
        .route(
            "/healthz",
            get(async |_: NoParameters| Json(json!({"alive": true}))),
        )
        .route("/readyz", get(ready))
}

/// Tells the routes who reads. A request without a token goes on without a viewer; the routes that
/// read prices refuse it.
async fn identify(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let cookie = access.cookie.as_deref();
    let token = presented::take(&mut request, cookie, &access.origins);
    if request.uri().path().starts_with(NAMED_STREAMS) {
        // The name of a stream is a permission of its own. Tokens come along unasked, as cookies.
        return next.run(request).await;
    }
    let token = match token {
        Ok(token) => token,
        Err(error) => return Problem::from(error).into_response(),
    };
    if let Some(token) = token {
        let now = (access.hub.steady_time(), SystemTime::now().into());
        match access.keys.verify_or_load(&token, now).await {
            Ok(viewer) => _ = request.extensions_mut().insert(viewer),
            Err(error @ TokenError::NotLoaded(_)) => {
                _ = request
                    .extensions_mut()
                    .insert(UnknownYet(error.to_string().into()));
            }
            Err(error) => return challenge(Problem::from(error).into_response()),
        }
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        return challenge(response);
    }
    response
}

/// Loads the keys of readers that come from the addresses of issuers, until `stop`. Without its first
/// keys, the server is not ready.
pub(crate) fn load_keys(
    keys: &Arc<Keys>,
    hub: &Hub,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    for number in 0..keys.sets().len() {
        let (keys, hub, stop) = (Arc::clone(keys), hub.clone(), stop.clone());
        // Two sets may have the same address.
        let cause = format!("access.key set {number}");
        let url = keys.sets()[number].issuer().shown();
        hub.set_not_ready(&cause, Some(format!("no keys of readers yet from {url}")));
        tasks.spawn(async move {
            let set = &keys.sets()[number];
            let fresh = set.keep_fresh(|reason| hub.set_not_ready(&cause, reason));
            stop.run_until_cancelled(fresh).await
        });
    }
}

/// Adds the header that each 401 has to have (RFC 9110).
fn challenge(mut response: Response) -> Response {
    let bearer = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, bearer);
    response
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

impl From<PresentedError> for Problem {
    fn from(error: PresentedError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}
