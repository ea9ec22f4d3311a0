//! A listener over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::io::TlsIo;

/// A listener over TLS, on one over TCP.
pub(crate) struct TlsListener<L> {
    tcp: L,
    acceptor: TlsAcceptor,
}

impl<L> TlsListener<L> {
    pub(crate) fn new(tcp: L, config: Arc<ServerConfig>) -> Self {
        Self {
            tcp,
            acceptor: config.into(),
        }
    }
}

impl<L: Listener<Io = TcpStream, Addr = SocketAddr>> Listener for TlsListener<L> {
    type Io = TlsIo;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TlsIo, SocketAddr) {
        let (socket, peer) = self.tcp.accept().await;
        (TlsIo::new(socket, self.acceptor.clone()), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
