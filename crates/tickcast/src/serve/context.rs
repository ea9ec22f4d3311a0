//! The server's state that every connection needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Request;
use tokio_util::sync::CancellationToken;

use super::connection_limit::ConnectionLimit;

/// The server's state that every connection needs.
pub(super) struct ConnectionContext {
    pub(super) connections: Arc<ConnectionLimit>,
    pub(super) stall: Duration,
    /// Whether streams may move to a lane.
    pub(super) direct: bool,
    /// The address of the peer, if it is an IP address.
    pub(super) peer: Option<ConnectInfo<SocketAddr>>,
    /// The token that is cancelled when the server stops.
    pub(super) stop: CancellationToken,
}

impl ConnectionContext {
    /// Adds what handlers can extract about the connection.
    pub(super) fn describe<B>(&self, request: &mut Request<B>) {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
    }
}
