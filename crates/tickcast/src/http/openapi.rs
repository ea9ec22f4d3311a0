//! The routes as one OpenAPI document. Each route is documented at its function.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::schema::{
    BadRequest, Forbidden, LoginNeeded, NotModified, PublishedTick, PublishingForbidden,
    PublishingTooFast, RequestTimeout, ServerBusy, ShuttingDown, StorageFull, SymbolNotFound,
    Unauthorized,
};
use super::{candles, change, market, prices, publish, status, stream, streams, ticks};

/// Returns the OpenAPI document of [`Hub::router`](crate::Hub::router),
/// [`Hub::health_router`](crate::Hub::health_router) and
/// [`Publisher::router`](crate::Publisher::router). Merge the document with your own.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Routes::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "tickcast", description = "Publish and stream live prices."),
    paths(
        stream::prices_stream,
        stream::stream,
        streams::prepare,
        streams::read,
        change::change,
        streams::delete,
        prices::prices,
        market::price,
        market::symbols,
        candles::candles,
        ticks::ticks,
        publish::publish,
        publish::delete_price,
        status::alive,
        status::ready,
        status::status,
    ),
    components(responses(BadRequest, Forbidden, LoginNeeded, NotModified, SymbolNotFound, Unauthorized, PublishingForbidden, PublishingTooFast, RequestTimeout, ShuttingDown, StorageFull, ServerBusy), schemas(PublishedTick)),
    tags(
        (name = "streams", description = "Live prices as Server-Sent Events"),
        (name = "market", description = "Latest prices"),
        (name = "history", description = "Past prices"),
        (name = "publishing", description = "Publishing prices"),
        (name = "server", description = "Health and status of the server"),
    ),
    modifiers(&Token),
)]
struct Routes;

/// The bearer token that publishers send.
struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("publish_token", SecurityScheme::Http(bearer));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Collects all values of `$ref` in the document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_in_the_document_has_a_target() {
        let document = serde_json::to_value(super::openapi()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
