//! What a connection has of its server.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connection_limit::ConnectionLimit;

/// What a connection has of its server.
pub(super) struct ConnectionContext {
    pub(super) connections: Arc<ConnectionLimit>,
    pub(super) stall: Duration,
    /// Done when the server stops.
    pub(super) stop: CancellationToken,
}
