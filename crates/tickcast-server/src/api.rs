//! The OpenAPI description of the public routes: `/openapi.json`.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, RefOr};

use crate::access::{ACCESS_TOKEN, AccessSettings};

/// The response that the library describes at each route that may need a login.
const LOGIN_NEEDED: &str = "#/components/responses/LoginNeeded";

/// A name in the document, and the scheme that it names.
type NamedScheme = (&'static str, SecurityScheme);

/// Returns the route `/openapi.json`. If readers need tokens, the document says where a token may be.
pub(crate) fn router(settings: &AccessSettings) -> Router {
    let schemes = reader_schemes(settings);
    // The first request creates the document, so that the start of the server stays fast.
    let document = Arc::new(LazyLock::new(move || {
        // The document holds only values that JSON can represent, so this cannot fail.
        Bytes::from(document(schemes).to_pretty_json().unwrap_or_default())
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Router::new().route(
        "/openapi.json",
        get(async move || (headers, Bytes::clone(&document))),
    )
}

/// Returns the places of a reader's token. There are none if everyone may read.
fn reader_schemes(settings: &AccessSettings) -> Vec<NamedScheme> {
    let AccessSettings::Token { cookie, .. } = settings else {
        return Vec::new();
    };
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    let parameter = ApiKey::Query(ApiKeyValue::new(ACCESS_TOKEN));
    let cookie = cookie.as_ref().map(|name| {
        let cookie = ApiKey::Cookie(ApiKeyValue::new(name));
        ("reader_cookie", SecurityScheme::ApiKey(cookie))
    });
    [
        ("reader_token", SecurityScheme::Http(bearer)),
        ("reader_token_in_query", SecurityScheme::ApiKey(parameter)),
    ]
    .into_iter()
    .chain(cookie)
    .collect()
}

/// Returns the document. Each route that needs a login takes a token in one of these places.
fn document(schemes: Vec<NamedScheme>) -> OpenApi {
    let mut all = tickcast::http::openapi();
    all.info.version = env!("CARGO_PKG_VERSION").to_owned();
    if schemes.is_empty() {
        return all;
    }
    let any: Vec<_> = schemes
        .iter()
        .map(|(name, _)| SecurityRequirement::new(*name, [""; 0]))
        .collect();
    let routes = all.paths.paths.values_mut().flat_map(operations);
    for route in routes.filter(|route| needs_login(route)) {
        route.security = Some(any.clone());
    }
    let components = all.components.get_or_insert_default();
    for (name, scheme) in schemes {
        components.add_security_scheme(name, scheme);
    }
    all
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        post,
        patch,
        delete,
        ..
    } = path;
    [get, post, patch, delete].into_iter().flatten()
}

fn needs_login(route: &Operation) -> bool {
    let unauthorized = route.responses.responses.get("401");
    matches!(unauthorized, Some(RefOr::Ref(to)) if to.ref_location == LOGIN_NEEDED)
}
