//! Authentication of publishers.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;
use tickcast::http::Problem;

use crate::cli::LogFormat;

/// Number of random bytes in a generated token.
const TOKEN_BYTES: usize = 24;

/// The token that publishers must present. The token is never logged.
pub(crate) struct PublishToken(String);

impl PublishToken {
    /// Creates a token from the settings.
    pub(crate) const fn from_setting(token: String) -> Self {
        Self(token)
    }

    /// Generates a new token and prints the token once on standard error, in the format of the log.
    pub(crate) fn generate(format: LogFormat) -> anyhow::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes)
            .context("cannot generate random bytes for the publish token")?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let message = "publish token (generated for this run; set a token with --publish-token)";
        match format {
            LogFormat::Human => eprintln!("{message}: {token}"),
            LogFormat::Json => eprintln!("{}", json!({"message": message, "publish_token": token})),
        }
        Ok(Self(token))
    }

    /// Checks whether the request presents the token. The comparison takes the same time for every
    /// wrong token.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let presented = headers
            .get(header::AUTHORIZATION)
            .map(header::HeaderValue::as_bytes)
            .unwrap_or_default();
        let bearer = presented
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
        let (_, token) = bearer.unwrap_or_default();
        bool::from(token.ct_eq(self.0.as_bytes()))
    }
}

/// Adds a check to the routes of `router`: only requests with the token reach the routes.
pub(crate) fn require(token: PublishToken, router: Router) -> Router {
    router.route_layer(middleware::from_fn_with_state(Arc::new(token), check))
}

async fn check(State(token): State<Arc<PublishToken>>, request: Request, next: Next) -> Response {
    if token.admits(request.headers()) {
        return next.run(request).await;
    }
    // The request body is not read. The response is sent at once, and the server makes sure that
    // the client receives the response.
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "publishing needs `Authorization: Bearer <publish token>`",
    );
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}
