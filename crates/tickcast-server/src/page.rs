//! The pages: the dashboard, the widget, and their files. All files are embedded in the program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use tickcast::http::Problem;

/// The content security policy: the pages load nothing from other servers, and run only scripts of
/// this server.
macro_rules! policy {
    ($ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; ",
            "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ",
            $ancestors
        )
    };
}

/// Policy of the dashboard. Other sites may not frame the dashboard, because they could steal
/// clicks. The next constant is for the widget, which is made for frames.
const OWN_FRAMES: &str = policy!("'self'");
const ANY_FRAME: &str = policy!("*");

/// Cache policy of files whose name contains the hash of their content: they never change. The next
/// constant is for all other files, which browsers must revalidate; these files are short.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// The built pages, see `web/`.
#[derive(rust_embed::Embed)]
#[folder = "../../web/dist"]
struct Dist;

/// A file as it is sent.
struct Asset {
    kind: &'static str,
    etag: HeaderValue,
    plain: Cow<'static, [u8]>,
    /// The compressed file, if it is smaller than the plain file.
    gzip: Option<Vec<u8>>,
}

/// All files by path. The first request compresses the files, so that the start of the server stays
/// fast.
static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    Dist::iter()
        .filter_map(|path| Some((path.to_string(), Asset::new(&path, Dist::get(&path)?))))
        .collect()
});

/// Returns the routes of the pages and their files.
pub(crate) fn router() -> Router {
    Router::new()
        .route(
            "/",
            get(|headers| file(headers, "index.html", ASK_AGAIN, OWN_FRAMES)),
        )
        .route(
            "/embed",
            get(|headers| file(headers, "embed.html", ASK_AGAIN, ANY_FRAME)),
        )
        .route(
            "/docs",
            get(|headers| file(headers, "docs.html", ASK_AGAIN, OWN_FRAMES)),
        )
        .route(
            "/tickcast.js",
            get(|headers| file(headers, "tickcast.js", ASK_AGAIN, OWN_FRAMES)),
        )
        .route(
            "/assets/{name}",
            get(async |Path(name): Path<String>, headers| {
                // A worker has the policy of its script.
                file(headers, &format!("assets/{name}"), FOR_EVER, OWN_FRAMES).await
            }),
        )
}

async fn file(asked: HeaderMap, path: &str, cache: &'static str, policy: &'static str) -> Response {
    let Some(asset) = ASSETS.get(path) else {
        return Problem::no_route().into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, asset.etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A browser takes the policy of this answer, also for a page that it already has.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    if asked.get(header::IF_NONE_MATCH) == Some(&asset.etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    let takes_gzip = asked
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    match &asset.gzip {
        Some(gzip) if takes_gzip.is_some_and(|value| value.contains("gzip")) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (headers, gzip.as_slice()).into_response()
        }
        _ => (headers, asset.plain.clone()).into_response(),
    }
}

impl Asset {
    fn new(path: &str, file: rust_embed::EmbeddedFile) -> Self {
        let hash: String = file.metadata.sha256_hash()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let etag = HeaderValue::try_from(format!("\"{hash}\""));
        let plain = file.data;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder
            .write_all(&plain)
            .and_then(|()| encoder.finish())
            .ok();
        Self {
            kind: kind(path),
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
            gzip: gzip.filter(|gzip| gzip.len() < plain.len()),
            plain,
        }
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
