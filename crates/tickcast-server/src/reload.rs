//! What can be changed while the server runs: its sources, by its configuration file.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use tickcast::Problem;

use crate::settings::{Loader, SettingRow, Settings, SettingsError};
use crate::source::{Change, SourceManager};

/// Reads the settings again, and does what they say by now.
pub(crate) struct Reload {
    loader: Loader,
    running: Arc<SourceManager>,
    /// What the server runs with, as far as only a restart changes it.
    current: Vec<SettingRow>,
    /// One at a time.
    lock: tokio::sync::Mutex<()>,
}

/// What a reload has done.
#[derive(Debug, Serialize)]
pub(crate) struct Reloaded {
    sources: Change,
    /// Settings that are others by now, and wait for a restart.
    restart: Vec<&'static str>,
}

impl Reload {
    pub(crate) fn new(loader: Loader, running: Arc<SourceManager>, standing: Vec<SettingRow>) -> Self {
        Self { loader, running, current: standing, lock: tokio::sync::Mutex::default() }
    }

    /// Reads the settings again. Where they are not sound nothing changes.
    pub(crate) async fn run(&self) -> Result<Reloaded, SettingsError> {
        let _turn = self.lock.lock().await;
        let Settings { mut sources, shown, .. } = (self.loader)().inspect_err(|error| {
            tracing::error!("nothing was reloaded: {error}");
        })?;
        let by_default =
            |shown: &[SettingRow]| shown.iter().any(|one| one.key == "source" && one.is_default());
        if by_default(&shown) && !by_default(&self.current) {
            // Whoever takes the last source out of the file does not ask for made-up prices.
            sources.clear();
        }
        let is_other = |now: &&SettingRow| self.current.iter().any(|before| before.differs(now));
        let others = shown.iter().filter(is_other).map(|shown| shown.key);
        let restart: Vec<_> = others.filter(|key| *key != "source").collect();
        let reloaded = Reloaded { sources: self.running.change(sources).await, restart };
        let Change { added, removed, changed, paused, .. } = &reloaded.sources;
        tracing::info!(?added, ?removed, ?changed, ?paused, "reloaded");
        if !reloaded.restart.is_empty() {
            tracing::warn!(settings = ?reloaded.restart, "these take a restart");
        }
        Ok(reloaded)
    }
}

/// `POST /reload`.
pub(crate) fn router(reload: &Arc<Reload>) -> Router {
    Router::new().route("/reload", post(respond)).with_state(Arc::clone(reload))
}

/// Whether a page sends it: browsers say so in headers that no script can leave out. Forms and scripts may reach an operator's
/// own machine from anywhere, without reading the answer.
fn is_from_browser(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    headers.contains_key(header::ORIGIN) || !matches!(site, None | Some(b"none" | b"same-origin"))
}

async fn respond(State(reload): State<Arc<Reload>>, headers: HeaderMap) -> Response {
    if is_from_browser(&headers) {
        return Problem::new(StatusCode::FORBIDDEN, "pages cannot ask for a reload").into_response();
    }
    // Whoever asked may hang up; what was begun has to be ended all the same.
    let done = tokio::spawn(async move { reload.run().await }).await;
    match done {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the reload broke off").into_response(),
        Ok(Err(error)) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}
