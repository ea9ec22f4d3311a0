//! The PROXY protocol, versions 1 and 2: a proxy tells the address of its client in front of the
//! first byte of a connection.

mod header;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::serve::Listener;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::networks;
use header::{HeaderError, read, source};

/// Maximum time for the header of a proxy.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of connections whose header has not arrived. For a further one, the oldest is closed,
/// so that silent connections hold up no other.
const MAX_WAITING: usize = 128;

/// Delay before the next accept after a lack of resources.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Minimum time between two warnings about bad headers.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// A listener for TCP connections. Those from the proxies begin with a header of the PROXY
/// protocol; the others have none.
pub(crate) struct ProxyListener {
    tcp: TcpListener,
    proxies: Vec<IpNet>,
    /// The connections whose header has not arrived.
    waiting: JoinSet<Result<Connection, Refused>>,
    /// The tasks of these connections, the oldest first. Some may have ended.
    order: VecDeque<AbortHandle>,
    /// The time of the last warning about a header.
    warned: Option<Instant>,
}

/// A connection, and the address of its client.
type Connection = (TcpStream, SocketAddr);

/// A connection of a proxy that has no good header.
struct Refused {
    proxy: SocketAddr,
    error: HeaderError,
}

impl ProxyListener {
    /// Creates a listener. Without proxies, no connection has a header.
    pub(crate) fn new(tcp: TcpListener, proxies: Vec<IpNet>) -> Self {
        Self {
            tcp,
            proxies,
            waiting: JoinSet::new(),
            order: VecDeque::new(),
            warned: None,
        }
    }

    /// Returns a connection that needs no header. One that needs a header waits for it in a task of
    /// its own, so that it holds up no other.
    async fn arrived(&mut self, accepted: io::Result<Connection>) -> Option<Connection> {
        match accepted {
            Ok((socket, peer)) => {
                tickcast::serve::set_socket_options(&socket);
                if !networks::contain(&self.proxies, peer.ip()) {
                    return Some((socket, peer));
                }
                self.order.retain(|task| !task.is_finished());
                if self.order.len() >= MAX_WAITING
                    && let Some(oldest) = self.order.pop_front()
                {
                    oldest.abort();
                }
                let task = self.waiting.spawn(with_header(socket, peer));
                self.order.push_back(task);
            }
            Err(error) if tickcast::serve::concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
        None
    }

    /// Returns a connection whose header has been read. A bad header is logged, at most once a
    /// second.
    fn read(&mut self, read: Result<Connection, Refused>) -> Option<Connection> {
        let Refused { proxy, error } = match read {
            Ok(connection) => return Some(connection),
            Err(refused) => refused,
        };
        // A proxy checks by an empty connection whether the server is there.
        if matches!(error, HeaderError::Io(_)) {
            tracing::debug!(%proxy, %error, "a connection of a proxy ended early");
        } else if self
            .warned
            .is_none_or(|at| at.elapsed() >= WARNING_INTERVAL)
        {
            self.warned = Some(Instant::now());
            tracing::warn!(%proxy, %error, "a connection of a proxy is closed");
        }
        None
    }
}

impl Listener for ProxyListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            let found = tokio::select! {
                accepted = self.tcp.accept() => self.arrived(accepted).await,
                Some(read) = self.waiting.join_next() => {
                    // A task that was aborted has nothing to say.
                    read.ok().and_then(|read| self.read(read))
                }
            };
            if let Some(connection) = found {
                return connection;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Reads the header of a proxy. Returns the connection and the address of its client.
async fn with_header(mut socket: TcpStream, proxy: SocketAddr) -> Result<Connection, Refused> {
    let reading = tokio::time::timeout(HEADER_TIMEOUT, read(&mut socket)).await;
    let header = reading.unwrap_or(Err(HeaderError::Late(HEADER_TIMEOUT)));
    match header.and_then(|header| source(&header)) {
        Ok(client) => Ok((socket, client.unwrap_or(proxy))),
        Err(error) => Err(Refused { proxy, error }),
    }
}
