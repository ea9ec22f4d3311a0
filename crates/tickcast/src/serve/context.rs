//! The server's state that every connection needs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connection_limit::ConnectionLimit;

/// The server's state that every connection needs.
pub(super) struct ConnectionContext {
    pub(super) connections: Arc<ConnectionLimit>,
    pub(super) stall: Duration,
    /// The token that is cancelled when the server stops.
    pub(super) stop: CancellationToken,
}
