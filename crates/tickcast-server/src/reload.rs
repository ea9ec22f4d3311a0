//! Changes while the server runs: the configuration file can change the sources, and files can
//! change the certificates.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use tickcast::Hub;
use tickcast::http::Problem;

use crate::fetch_site;
use crate::settings::{Loader, SettingRow, Settings, SettingsError};
use crate::source::{Change, SourceManager};
use crate::tls::Certificates;

/// Reads the settings again and applies them.
pub(crate) struct Reload {
    loader: Loader,
    running: Arc<SourceManager>,
    hub: Hub,
    /// The certificates of the listeners.
    certificates: Vec<Arc<Certificates>>,
    /// The settings of the running server. Only a restart changes these, except the sources.
    current: Vec<SettingRow>,
    /// Allows one reload at a time.
    lock: tokio::sync::Mutex<()>,
}

/// The result of a reload.
#[derive(Debug, Serialize)]
pub(crate) struct Reloaded {
    sources: Change,
    /// Settings that have changed but need a restart.
    restart: Vec<&'static str>,
}

impl Reload {
    pub(crate) fn new(
        loader: Loader,
        running: Arc<SourceManager>,
        (hub, certificates): (Hub, Vec<Arc<Certificates>>),
        standing: Vec<SettingRow>,
    ) -> Self {
        Self {
            loader,
            running,
            hub,
            certificates,
            current: standing,
            lock: tokio::sync::Mutex::default(),
        }
    }

    /// Reads the settings again, changes the sources, revokes tokens, and loads the certificates
    /// again.
    ///
    /// # Errors
    ///
    /// If the settings are not valid, nothing changes. If the certificates cannot be read again,
    /// only the revocations are applied.
    pub(crate) async fn run(&self) -> Result<Reloaded, SettingsError> {
        let done = self.try_run().await;
        done.inspect_err(|error| tracing::error!("the reload failed: {error}"))
    }

    async fn try_run(&self) -> Result<Reloaded, SettingsError> {
        let _turn = self.lock.lock().await;
        let Settings {
            mut sources,
            shown,
            access,
            ..
        } = (self.loader)()?;
        // A reader who may no longer read must not profit from another error.
        if let Some(revoked) = access.revoked() {
            revoked.apply(&self.hub);
        }
        self.reload_certificates()?;
        let by_default = |shown: &[SettingRow]| {
            shown
                .iter()
                .any(|one| one.key == "source" && one.is_default())
        };
        if by_default(&shown) && !by_default(&self.current) {
            // A user who removes the last source from the file does not want simulated prices.
            sources.clear();
        }
        let is_other = |now: &&SettingRow| self.current.iter().any(|before| before.differs(now));
        let others = shown.iter().filter(is_other).map(|shown| shown.key);
        let restart: Vec<_> = others.filter(|key| *key != "source").collect();
        let reloaded = Reloaded {
            sources: self.running.change(sources).await,
            restart,
        };
        let Change {
            added,
            removed,
            changed,
            paused,
            ..
        } = &reloaded.sources;
        tracing::info!(?added, ?removed, ?changed, ?paused, "reloaded");
        if !reloaded.restart.is_empty() {
            tracing::warn!(settings = ?reloaded.restart, "these settings changed and take effect after a restart");
        }
        Ok(reloaded)
    }

    /// Reads the certificates of all listeners again, or of none.
    fn reload_certificates(&self) -> Result<(), SettingsError> {
        let read = self.certificates.iter().map(|own| Ok((own, own.read()?)));
        let read: Vec<_> = read.collect::<Result<_, _>>().map_err(SettingsError)?;
        for (certificates, read) in read {
            certificates.replace(read);
        }
        Ok(())
    }
}

/// Returns the route `POST /reload`.
pub(crate) fn router(reload: &Arc<Reload>) -> Router {
    Router::new()
        .route("/reload", post(respond))
        .with_state(Arc::clone(reload))
}

async fn respond(State(reload): State<Arc<Reload>>, headers: HeaderMap) -> Response {
    if let Err(refused) = fetch_site::refuse_pages(&headers, "request a reload") {
        return refused.into_response();
    }
    // The client may disconnect, but a reload that has begun must finish.
    let done = tokio::spawn(async move { reload.run().await }).await;
    match done {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Err(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the reload panicked").into_response()
        }
        Ok(Err(error)) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response()
        }
    }
}
