//! Authentication of publishers.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::Choice;
use tickcast::access::Grant;
use tickcast::http::Problem;
use tower_http::validate_request::{ValidateRequest, ValidateRequestHeaderLayer};

use crate::cli::LogFormat;
use crate::secret::SecretHash;

/// Number of random bytes in a generated token.
const TOKEN_BYTES: usize = 24;

/// A token that publishers may present, and what it allows.
pub(crate) struct PublishToken {
    hash: SecretHash,
    /// What the publisher may publish. `None`: everything.
    grant: Option<Grant>,
}

/// All tokens of publishers. No token is ever logged.
#[derive(Clone)]
pub(crate) struct PublishTokens(Arc<[PublishToken]>);

impl PublishToken {
    /// Makes a token for everything.
    pub(crate) const fn for_everything(hash: SecretHash) -> Self {
        Self { hash, grant: None }
    }

    /// Makes a token for what a grant allows.
    pub(crate) const fn granted(hash: SecretHash, grant: Grant) -> Self {
        Self {
            hash,
            grant: Some(grant),
        }
    }

    /// Checks whether both are the same token.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.hash == other.hash
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
        Ok(Self::for_everything(SecretHash::of(token.as_bytes())))
    }
}

impl PublishTokens {
    pub(crate) fn new(tokens: Vec<PublishToken>) -> Self {
        Self(tokens.into())
    }

    /// Returns the token that the request presents. The comparison takes the same time for every
    /// wrong token, and for each of the right ones.
    fn find(&self, headers: &HeaderMap) -> Option<&PublishToken> {
        let presented = headers
            .get(header::AUTHORIZATION)
            .map(header::HeaderValue::as_bytes)
            .unwrap_or_default();
        let bearer = presented
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
        let (_, token) = bearer.unwrap_or_default();
        let presented = SecretHash::of(token);
        let matches: Vec<Choice> = self
            .0
            .iter()
            .map(|own| own.hash.ct_eq(&presented))
            .collect();
        let found = matches.iter().position(|matches| bool::from(*matches));
        found.map(|found| &self.0[found])
    }
}

impl ValidateRequest<Body> for PublishTokens {
    type ResponseBody = Body;

    /// Adds the grant of the presented token to the request.
    ///
    /// # Errors
    /// If no token is presented, or a wrong one. The error is the response.
    fn validate(&mut self, request: &mut Request) -> Result<(), Response> {
        if let Some(token) = self.find(request.headers()) {
            if let Some(grant) = &token.grant {
                request.extensions_mut().insert(grant.clone());
            }
            return Ok(());
        }
        // The request body is not read. The response is sent at once, and the server makes sure that
        // the client receives the response.
        let problem = Problem::new(
            StatusCode::UNAUTHORIZED,
            "publishing needs `Authorization: Bearer <publish token>`",
        );
        Err(([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response())
    }
}

/// Adds a check to the routes of `router`: only requests with a token reach the routes.
pub(crate) fn require(tokens: PublishTokens, router: Router) -> Router {
    router.route_layer(ValidateRequestHeaderLayer::custom(tokens))
}
