//! Who may publish.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;
use tickcast::Problem;

use crate::cli::LogFormat;

/// Bytes of chance in a token that is made here.
const TOKEN_BYTES: usize = 24;

/// What publishers must present. Never logged.
pub(crate) struct PublishToken(String);

impl PublishToken {
    /// One that was configured.
    pub(crate) const fn from_setting(token: String) -> Self {
        Self(token)
    }

    /// A new one, shown once on standard error, the way the log is.
    pub(crate) fn generate(format: LogFormat) -> anyhow::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).context("no random numbers for a publish token")?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let message = "publish token (made for this run; set one with --publish-token)";
        match format {
            LogFormat::Human => eprintln!("{message}: {token}"),
            LogFormat::Json => eprintln!("{}", json!({"message": message, "publish_token": token})),
        }
        Ok(Self(token))
    }

    /// Takes as long for a near miss as for a far one.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let presented =
            headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes).unwrap_or_default();
        let bearer =
            presented.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
        let (_, token) = bearer.unwrap_or_default();
        bool::from(token.ct_eq(self.0.as_bytes()))
    }
}

/// Lets only those through to `router` who present the token.
pub(crate) fn require(token: PublishToken, router: Router) -> Router {
    router.route_layer(middleware::from_fn_with_state(Arc::new(token), check))
}

async fn check(State(token): State<Arc<PublishToken>>, request: Request, next: Next) -> Response {
    if token.admits(request.headers()) {
        return next.run(request).await;
    }
    // Nothing of the body is read: the answer goes out at once, and the server sees to it that it is heard.
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED, "publishing needs `Authorization: Bearer <publish token>`");
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}
