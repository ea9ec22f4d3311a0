//! The routes of the public listener.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use tickcast::Hub;
use tickcast::http::Problem;
use tower::util::MapResponseLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::access::{AccessSettings, Origins};
use crate::{access, api, page, security_headers, slashes};

/// Returns all routes of the public listener: those for readers, `publishers`, the probes and the
/// pages.
pub(crate) fn router(
    hub: &Hub,
    publishers: Router,
    settings: AccessSettings,
    origins: Origins,
) -> Router {
    let by_token = settings.by_token();
    let cors = cors(by_token, &origins);
    let api = api::router(&settings);
    access::router(hub, settings, origins)
        .merge(publishers)
        .merge(if by_token {
            access::quiet_health_router(hub)
        } else {
            hub.health_router()
        })
        .merge(page::router())
        .merge(api)
        .fallback(slashes::fallback)
        .method_not_allowed_fallback(|| async { Problem::no_method() })
        .layer((MapResponseLayer::new(security_headers::add), cors))
}

/// Returns the CORS rules. Any page may read a stream, resume a stream, and change or end a stream
/// whose name the page knows, because no answer to another origin can be read with a cookie. No page may
/// publish. If the settings name origins, only their pages may read, and with cookies. CORS always allows `POST`, so `Authorization` is among the allowed headers only if
/// readers need it; a page then still needs the token of a publisher to publish.
fn cors(by_token: bool, origins: &Origins) -> CorsLayer {
    let last_event_id = HeaderName::from_static("last-event-id");
    let authorization = by_token.then_some(header::AUTHORIZATION);
    let delay = by_token.then_some(HeaderName::from_static("tickcast-delay"));
    let layer = match origins.list() {
        [] => CorsLayer::new().allow_origin(Any),
        list => CorsLayer::new()
            .allow_origin(list.to_vec())
            .allow_credentials(true),
    };
    layer
        .allow_methods([Method::GET, Method::PATCH, Method::DELETE])
        .allow_headers(
            [
                header::ACCEPT,
                header::CACHE_CONTROL,
                header::CONTENT_TYPE,
                header::IF_NONE_MATCH,
                last_event_id,
            ]
            .into_iter()
            .chain(authorization)
            .collect::<Vec<_>>(),
        )
        .expose_headers([header::ETAG].into_iter().chain(delay).collect::<Vec<_>>())
        .max_age(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::access::AccessTable;

    /// The routes that `tests/access_table.rs` asks as every kind of reader.
    const WALKED: &str = include_str!("../../../tests/routes.txt");

    /// Returns the methods and the path of each route. Axum lists its routes only in its debug
    /// output: first the methods by number, then the paths by number.
    fn routes(router: &Router) -> BTreeSet<String> {
        let text = format!("{router:?}");
        let (own, _) = text.split_once("fallback_router").unwrap();
        let (mut methods, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for entry in own.split("RouteId(").skip(1) {
            let (id, rest) = entry.split_once("): ").unwrap();
            let known = match rest.strip_prefix('"') {
                Some(path) => paths.insert(id, path),
                None => {
                    let allowed = rest.split_once("allow_header: Bytes(b\"");
                    methods.insert(id, allowed.expect("a route takes any method").1)
                }
            };
            assert_eq!(known, None);
        }
        let upto_quote = |text: &str| text.split('"').next().unwrap().to_owned();
        let all = methods.into_iter();
        let all = all.map(|(id, own)| format!("{} {}", upto_quote(own), upto_quote(paths[id])));
        all.collect()
    }

    /// A new route fails this test until it is in the file, and then the table asks it.
    #[tokio::test]
    async fn every_route_is_in_the_table_of_access() {
        let key = "secret = \"0123456789abcdef0123456789abcdef\"";
        let by_token = format!("readers = \"token\"\n[[key]]\nalg = \"HS256\"\n{key}\n");
        for table in ["", &by_token] {
            let table: AccessTable = toml::from_str(table).unwrap();
            let hub = Hub::builder().build();
            let publishers = hub.source("http", Default::default()).router();
            let settings = table.settings().unwrap();
            let found = routes(&router(&hub, publishers, settings, Origins::default()));
            let found: String = found.iter().map(|route| format!("{route}\n")).collect();
            assert_eq!(found, WALKED, "tests/routes.txt is not this list:\n{found}");
        }
    }
}
