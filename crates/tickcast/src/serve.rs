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

/// How long the loop rests when accepting fails for want of resources: the sockets it lacks are freed by others.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// So many connections are accepted before everyone else has a turn: where thousands come at once, what is served already does not
/// wait behind hundreds of them.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a peer may leave data unacknowledged, or a closed window closed, before the system gives it up.
/// Together with the comment that a quiet stream is sent after 15 s: a reader who has vanished is noticed within 45 s.
const USER_TIMEOUT: Duration = Duration::from_secs(28);

/// When the system begins to ask a silent peer whether it is there, and how often.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// Serves `app` on `listener` until `shutdown` is done; short for [`Server::run`].
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

/// An application and the listener it is served on.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    app: Router,
    grace: Duration,
    write_timeout: Duration,
    max_connections: Option<usize>,
}

impl Server {
    /// How long connections may take to finish after the shutdown, unless [said otherwise](Self::grace): 5 s.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

    /// How long a peer may take, or send, nothing, unless [said otherwise](Self::write_timeout): 30 s.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// The listener is bound already, so whoever calls knows its port.
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

    /// How long a peer may take nothing of an answer that is not a direct stream (a [hub](crate::HubBuilder::write_timeout) sees to
    /// those). Then its connection is reset; over HTTP/2 that one request. And how long it may send nothing of a request's body,
    /// before that breaks off. Default [`STALL`](Self::WRITE_TIMEOUT).
    #[must_use]
    pub const fn write_timeout(mut self, stall: Duration) -> Self {
        self.write_timeout = stall;
        self
    }

    /// How many connections there may be. Beyond, streams are answered with a time to come back at; 64 places more are for
    /// requests that are soon over, and when those are taken, new connections wait to be accepted. Default, and most: as many in
    /// all as the process may have descriptors when it begins to serve, less 256 for everything else it has open.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// How long connections may take to finish after the shutdown. What has not finished then is not waited for, and is cut
    /// when the runtime ends.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Where it listens: the system may have chosen the port.
    ///
    /// # Errors
    /// Where the system will not say.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is done: from then on no connection is accepted, those without a whole request are closed, and
    /// what was asked is still answered; a request's body is read no further. Streams end when their hub ends them, with
    /// [`Hub::drain`](crate::Hub::drain).
    ///
    /// Whatever a single connection does, accepting goes on.
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
                    // Before anyone counts the places that are left: the next one is taken already, wherever there is one.
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
            tracing::warn!("some connections would not end: they are cut with the runtime");
        }
    }
}

/// Serves a connection: a plain request for a stream leaves for a lane, everything else is hyper's. Its place is given back
/// when it is over.
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
    // In a box: a stream's connection, of which there are the most, need not have room for it.
    Box::pin(serve_http(socket, (read, first), door, app, watcher)).await;
    drop(permit);
}

/// What every connection needs: no waiting for more to come, since a batch is written whole; and an end to peers who are
/// no more, or take nothing. An option that the system does not have is done without.
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

/// Whether an accept error is over with the connection it came from: `accept(2)` names these.
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
    fn an_error_of_one_connection_does_not_rest_the_loop() {
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
