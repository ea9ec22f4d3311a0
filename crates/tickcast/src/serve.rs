//! The accept loop: from listening sockets to the application.

mod connection_limit;
mod context;
mod conversation;
mod direct;
mod framing;
mod head;
mod linger;
mod multiplexed;
mod prefixed_io;
mod refusal;
mod request_body;
mod requirements;
mod sliced;
mod write_timeout_io;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use connection_limit::{ConnectionLimit, LogThrottle};
use context::ConnectionContext;
use conversation::serve_http;
pub(crate) use request_body::Unread;

/// Delay before the next accept after a lack of resources. Other connections free the missing sockets in the
/// meantime.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Number of connections that are accepted before other tasks run. If thousands of connections arrive at
/// once, open connections do not wait behind hundreds of new ones.
const ACCEPTS_PER_TURN: usize = 16;

/// Maximum time that a peer may leave data unacknowledged, or keep its window closed, before the system ends
/// the connection. A silent stream receives a comment after 15 s, so a reader that vanished is noticed within
/// 45 s.
const USER_TIMEOUT: Duration = Duration::from_secs(28);

/// Idle time before the first TCP keep-alive probe, the interval between probes, and the number of probes.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// Serves `app` on `listener` until `shutdown` completes. This is a short form of [`Server::run`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let hub = tickcast::Hub::builder().build();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// tickcast::serve(listener, hub.router(), async { /* until Ctrl-C, say */ }).await;
/// # Ok(()) }
/// ```
pub async fn serve(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) {
    Server::new(listener, app).run(shutdown).await;
}

/// An application and the listener that serves the application.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    app: Router,
    grace: Duration,
    write_timeout: Duration,
    max_connections: Option<usize>,
}

impl Server {
    /// Default time for connections to finish after the shutdown: 5 s. See [`grace`](Self::grace).
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

    /// Default write timeout: 30 s. See [`write_timeout`](Self::write_timeout).
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Creates a server on a listener that is already bound, so that the caller knows the port.
    #[must_use]
    pub const fn new(listener: TcpListener, app: Router) -> Self {
        Self {
            listener,
            app,
            grace: Self::DEFAULT_GRACE,
            write_timeout: Self::WRITE_TIMEOUT,
            max_connections: None,
        }
    }

    /// Sets how long a peer may read nothing of an answer (write timeout). After that, the connection is
    /// reset; over HTTP/2, only the one request is reset. A [hub](crate::HubBuilder::write_timeout) handles
    /// the write timeout of direct streams itself.
    ///
    /// The same time limits how long a peer may send nothing of a request body before the body breaks off.
    /// Default: [`WRITE_TIMEOUT`](Self::WRITE_TIMEOUT).
    #[must_use]
    pub const fn write_timeout(mut self, stall: Duration) -> Self {
        self.write_timeout = stall;
        self
    }

    /// Sets the maximum number of connections. Beyond that number, a stream is answered with a time to come
    /// back. 64 more connections are reserved for short requests. When these are in use too, new connections
    /// wait to be accepted.
    ///
    /// The default is also the upper limit. All connections together are then as many as the process may have
    /// descriptors when serving starts, minus 256 for everything else that is open.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Sets how long connections may take to finish after the shutdown. The server does not wait longer. The
    /// remaining connections are cut when the runtime ends.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns the address of the listener. The system may have chosen the port.
    ///
    /// # Errors
    /// If the system does not report the address.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` completes. After that, no connection is accepted, and connections without a
    /// complete request are closed. Complete requests are still answered, but request bodies are not read any
    /// further. Streams end when their hub ends them, with [`Hub::drain`](crate::Hub::drain).
    ///
    /// No single connection can stop the accept loop.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (graceful, stop) = (GracefulShutdown::new(), CancellationToken::new());
        let places = Arc::new(ConnectionLimit::new(self.max_connections));
        let failing = LogThrottle::default();
        let mut shutdown = pin!(shutdown);
        let (mut next, mut count) = (None, 0_usize);
        loop {
            let accepting = async {
                let permit = match next.take() {
                    Some(permit) => Some(permit),
                    None => places.next().await,
                };
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accepting => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((socket, _)) => {
                    // The next permit is taken before any request counts the free permits.
                    next = places.try_next();
                    let door = ConnectionContext {
                        connections: Arc::clone(&places),
                        stall: self.write_timeout,
                        stop: stop.clone(),
                    };
                    tokio::spawn(handle_connection(
                        socket,
                        permit,
                        door,
                        self.app.clone(),
                        graceful.watcher(),
                    ));
                    count += 1;
                    if count.is_multiple_of(ACCEPTS_PER_TURN) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if concerns_one_connection(&error) => next = permit,
                Err(error) => {
                    next = permit;
                    if failing.is_due() {
                        tracing::error!(%error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
        stop.cancel();
        drop(self.listener);
        if tokio::time::timeout(self.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                "some connections did not end in time; the connections are closed with the runtime"
            );
        }
    }
}

/// Handles one connection. A plain request for a stream moves to a lane; hyper serves everything else. The
/// connection's permit is released at the end.
async fn handle_connection(
    mut socket: TcpStream,
    permit: Option<OwnedSemaphorePermit>,
    door: ConnectionContext,
    app: Router,
    watcher: Watcher,
) {
    tune(&socket);
    let first = tokio::select! {
        first = head::read(&mut socket) => first,
        () = door.stop.cancelled() => return,
    };
    let (read, first) = match first {
        head::FirstRequest::Stream(request, read) => {
            let version = request.version();
            let Ok(mut response) = app.clone().oneshot(*request).await;
            door.connections.turn_away(&mut response, version);
            if let Some(handoff) = direct::handoff(&mut response) {
                return direct::hand_over(socket, version, &response, handoff, permit);
            }
            if let Some(answer) = refusal::few_events(&mut response).await {
                return Box::pin(refusal::respond(socket, &answer, false, &door)).await;
            }
            (read, Some(response))
        }
        head::FirstRequest::Other(read) => (read, None),
        head::FirstRequest::Ambiguous(why) => return refusal::bad_request(socket, why, &door).await,
        head::FirstRequest::Nothing => return,
    };
    // The future is boxed, so that the connections of streams, which are the most common, need no memory for
    // the future.
    Box::pin(serve_http(socket, (read, first), door, app, watcher)).await;
    drop(permit);
}

/// Sets the socket options of every connection. Nagle's algorithm is off, because a batch is written as a
/// whole. Keep-alive and user timeout end connections to peers that are gone or that read nothing. Options
/// that the system does not support are skipped.
fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// Checks whether an accept error concerns only the one connection that caused the error. `accept(2)` lists
/// these errors.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, PermissionDenied, TimedOut,
    };
    #[cfg(unix)]
    if let Some(error) = rustix::io::Errno::from_io_error(error) {
        use rustix::io::Errno;
        if [Errno::PROTO, Errno::NOPROTOOPT, Errno::HOSTDOWN, Errno::OPNOTSUPP].contains(&error) {
            return true;
        }
    }
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_one_connection_does_not_pause_the_accept_loop() {
        let one = [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ];
        for (errors, expected) in
            [(&one[..], true), (&[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM], false)]
        {
            for error in errors {
                assert_eq!(concerns_one_connection(&(*error).into()), expected, "{error:?}");
            }
        }
    }
}
