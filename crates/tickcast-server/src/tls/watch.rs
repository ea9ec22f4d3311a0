//! Loads certificates again when their files change, as after a renewal.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Certificates;

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// Watches the files of certificates until `stop`. If the new files do not fit, the certificates
/// from before stay in use, and the files are read again when they change again.
pub(crate) async fn watch(certificates: Arc<Certificates>, stop: CancellationToken) {
    let mut known = certificates.first_stamps();
    if known.is_empty() {
        return;
    }
    let mut ticker = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticker.tick() => {}
            () = stop.cancelled() => return,
        }
        let now = certificates.stamps();
        if now == known {
            continue;
        }
        known = now;
        match certificates.read() {
            Ok(read) => {
                certificates.replace(read);
                tracing::info!(
                    fingerprint = certificates.fingerprint(),
                    "the certificates were loaded again"
                );
            }
            Err(error) => tracing::error!(
                "the certificates cannot be loaded again; those from before stay in use: {error}"
            ),
        }
    }
}
