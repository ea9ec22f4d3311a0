//! Errors as `application/problem+json` (RFC 9457). This is the only module that maps errors to
//! HTTP.

use std::fmt::Display;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tickcast_core::{FilterError, Symbol, SymbolError, TickError};

use crate::access::Denied;
use crate::answers::{Busy, Cut, NoSnapshot, RETRY_AFTER};
use crate::disk::AppendError;
use crate::hub::{FilterRefusal, NoMarket, NotPrepared};
use crate::rate::RateError;
use crate::subscription::LINGER;

/// Delay before a request for a delayed market without data is tried again, in seconds. It is the
/// same at all times, so that it tells nothing.
const MARKET_RETRY_AFTER: u32 = 10;

/// Delay before an overloaded server may take ticks again, in seconds.
const OVERLOAD_RETRY_AFTER: u32 = 5;

/// Delay before a request whose filter had no room is tried again, in seconds.
const FILTER_RETRY_AFTER: u32 = 1;

/// The description of a failed request, as `application/problem+json` (RFC 9457). The routes of
/// [`Hub::router`](crate::Hub::router) and [`Publisher::router`](crate::Publisher::router) answer
/// with it. Return one from a handler of your own, to answer in the same form.
///
/// ```
/// use axum::http::StatusCode;
/// use tickcast::http::Problem;
///
/// async fn handler() -> Result<String, Problem> {
///     Err(Problem::new(StatusCode::FORBIDDEN, "the market is closed").retry_after(60))
/// }
/// ```
///
/// `From` makes one from the errors of the library: 400 for [`FilterError`], [`RateError`] and
/// [`SymbolError`], 403 for [`Denied`], 507 for an error of the tape on disk, and for a
/// [`TickError`] 403, 422, 429 or 507.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'static str>,
    /// Delay before a retry, in seconds.
    #[serde(skip)]
    retry_after: Option<u32>,
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    more: Map<String, Value>,
}

impl Problem {
    /// Creates a problem with this status. `detail` describes the individual case.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        // RFC 9457 requires this type and the standard title of the status if no page explains the
        // problem.
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            retry_after: None,
            more: Map::new(),
        }
    }

    /// Creates a 400 problem for a parameter or a header that breaks its rule. The answer names the
    /// parameter in its member `parameter` and at the start of its `detail`.
    #[must_use]
    pub fn parameter(name: &'static str, detail: impl Display) -> Self {
        Self {
            parameter: Some(name),
            ..Self::new(StatusCode::BAD_REQUEST, format!("{name}: {detail}"))
        }
    }

    /// Adds one more member to the problem. A member with the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the delay before a retry, in seconds, as the header `Retry-After`. Default: no such
    /// header.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Checks whether the problem has this status.
    pub(super) fn is(&self, status: StatusCode) -> bool {
        self.status == status.as_u16()
    }

    /// Returns the problem as JSON text.
    pub(crate) fn to_json(&self) -> String {
        // Serialization cannot fail: all keys are text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Creates a 404 problem for a path without a route.
    #[must_use]
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no route for this path")
    }

    /// Creates a 405 problem for a path that does not support the method.
    #[must_use]
    pub fn no_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not support this method",
        )
    }

    /// Creates a 404 problem for a symbol that is not on the market. `meant` is a similar symbol to
    /// suggest.
    #[must_use]
    pub(super) fn no_symbol(symbol: Symbol, meant: Option<Symbol>) -> Self {
        let hint = meant
            .map(|meant| format!("; did you mean {meant}?"))
            .unwrap_or_default();
        Self {
            parameter: Some("symbol"),
            ..Self::new(
                StatusCode::NOT_FOUND,
                format!("{symbol} is not on the market{hint}"),
            )
        }
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        Self::parameter("symbols", error)
    }
}

impl From<Denied> for Problem {
    fn from(error: Denied) -> Self {
        let parameter = match &error {
            Denied::Symbols(_) => "symbols",
            Denied::EveryTick(_) => "mode",
        };
        Self {
            parameter: Some(parameter),
            ..Self::new(StatusCode::FORBIDDEN, error.to_string())
        }
    }
}

impl From<TickError> for Problem {
    fn from(error: TickError) -> Self {
        let status = match error {
            TickError::NotPermitted => StatusCode::FORBIDDEN,
            TickError::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
            TickError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            TickError::Storage(_) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, error.to_string());
        match status {
            StatusCode::TOO_MANY_REQUESTS => problem.retry_after(1),
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(OVERLOAD_RETRY_AFTER),
            _ => problem,
        }
    }
}

impl From<NotPrepared> for Problem {
    fn from(error: NotPrepared) -> Self {
        let status = match error {
            NotPrepared::Subject => StatusCode::TOO_MANY_REQUESTS,
            NotPrepared::Streams(_) | NotPrepared::Entries => StatusCode::SERVICE_UNAVAILABLE,
        };
        let seconds = u32::try_from(LINGER.as_secs()).unwrap_or(u32::MAX);
        Self::new(status, error.to_string()).retry_after(seconds)
    }
}

impl From<NoMarket> for Problem {
    fn from(error: NoMarket) -> Self {
        match error {
            NoMarket::TooLong(_) => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            NoMarket::NotYet(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                .retry_after(MARKET_RETRY_AFTER),
        }
    }
}

impl From<RateError> for Problem {
    fn from(error: RateError) -> Self {
        Self::parameter("rate", error)
    }
}

impl From<SymbolError> for Problem {
    fn from(error: SymbolError) -> Self {
        Self {
            parameter: Some("symbol"),
            ..Self::new(StatusCode::BAD_REQUEST, error.to_string())
        }
    }
}

impl From<Busy> for Problem {
    fn from(error: Busy) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        Self {
            retry_after: Some(RETRY_AFTER),
            ..problem
        }
    }
}

impl From<FilterRefusal> for Problem {
    fn from(error: FilterRefusal) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            .retry_after(FILTER_RETRY_AFTER)
    }
}

impl From<Cut> for Problem {
    fn from(error: Cut) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<NoSnapshot> for Problem {
    fn from(error: NoSnapshot) -> Self {
        match error {
            NoSnapshot::Busy(error) => error.into(),
            NoSnapshot::Cut(error) => error.into(),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = self.to_json();
        let retry_after = self
            .retry_after
            .map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        match retry_after {
            Some(retry_after) => (status, kind, retry_after, body).into_response(),
            None => (status, kind, body).into_response(),
        }
    }
}
