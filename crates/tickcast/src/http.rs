//! The routes for readers and publishers, to be merged into any Axum application.

mod body;
mod candles;
mod change;
mod delay;
mod entity_tag;
mod export;
mod json;
mod market;
#[cfg(feature = "openapi")]
mod openapi;
mod prices;
mod problem;
mod publish;
mod query;
#[cfg(feature = "openapi")]
mod schema;
mod status;
pub(crate) mod stream;
mod streams;
mod symbol_path;
mod tick_format;
mod ticks;
mod view;

use axum::routing::{delete, get, post};
use axum::{Router, middleware};

#[cfg(feature = "openapi")]
pub use openapi::openapi;
pub use problem::Problem;
pub use query::NoParameters;

use crate::hub::Hub;
use crate::publisher::Publisher;
use publish::PublishState;
use view::ReadState;

impl Hub {
    /// Returns the routes for readers: `GET /prices/stream`, `/v1/stream`, `/v1/prices`,
    /// `/v1/prices/{symbol}`, `/v1/symbols`, `/v1/candles/{symbol}`, `/v1/ticks/{symbol}`,
    /// `/v1/status`, `POST /v1/streams`, and `GET`, `PATCH` and `DELETE /v1/streams/{stream}`.
    ///
    /// Each route answers for the [`Viewer`](crate::access::Viewer) in the request's extensions. A
    /// request without a viewer may read everything, unless the hub
    /// [requires one](crate::HubBuilder::require_viewer).
    ///
    /// The router has its own state, so it can be merged into a router with any state.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let routes = Router::new()
            .route("/prices/stream", get(stream::prices_stream))
            .route("/v1/stream", get(stream::stream))
            .route("/v1/streams", post(streams::prepare))
            .route(
                "/v1/streams/{stream}",
                get(streams::read)
                    .patch(change::change)
                    .delete(streams::delete),
            )
            .route("/v1/prices", get(prices::prices))
            .route("/v1/prices/{symbol}", get(market::price))
            .route("/v1/symbols", get(market::symbols))
            .route("/v1/candles/{symbol}", get(candles::candles))
            .route("/v1/ticks/{symbol}", get(ticks::ticks))
            .route("/v1/status", get(status::status))
            .with_state(ReadState::new(self.clone()));
        match self.has_delays() {
            true => routes.layer(middleware::from_fn_with_state(self.clone(), delay::label)),
            false => routes,
        }
    }

    /// Returns the probes of a hub: `GET /healthz` answers as long as the process runs.
    /// `GET /readyz` is 503, with the reasons, if the hub [drains](Self::drain), cannot store ticks
    /// or has lost a lane.
    pub fn health_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/healthz", get(status::alive))
            .route("/readyz", get(status::ready))
            .with_state(self.clone())
    }
}

impl Publisher {
    /// Returns the routes for publishers: `POST /v1/prices` and `DELETE /v1/prices/{symbol}`. The
    /// routes do not check a token. Wrap the routes in a layer that checks one.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route("/v1/prices", post(publish::publish))
            .route("/v1/prices/{symbol}", delete(publish::delete_price))
            .with_state(std::sync::Arc::new(PublishState::new(self)))
    }
}
