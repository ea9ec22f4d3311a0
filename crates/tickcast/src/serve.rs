//! The accept loop: from listening sockets to the application.

mod accept;
mod connection_limit;
mod context;
mod conversation;
mod direct;
mod framing;
mod head;
#[cfg(feature = "http2")]
mod http2_limits;
mod linger;
mod multiplexed;
mod prefixed_io;
mod refusal;
mod request_body;
mod requirements;
mod sliced;
mod socket;
mod write_timeout_io;

use std::fmt;
use std::future::{Pending, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use accept::concerns_one_connection;
use accept::{accept, prepare};
use connection_limit::{ConnectionLimit, LogThrottle};
use context::ConnectionContext;
use conversation::serve_http;
pub(crate) use request_body::Unread;
use socket::Socket;
pub use socket::set_socket_options;

/// Delay before the next accept after a lack of resources. Other connections free the missing
/// sockets in the meantime.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Number of connections that are accepted before other tasks run. If thousands of connections
/// arrive at once, open connections do not wait behind hundreds of new ones.
const ACCEPTS_PER_TURN: usize = 16;

/// Serves `app` on `listener`, like `axum::serve()`: await the result. In addition, streams over
/// TCP move to the lanes of their hub (the direct path), and every peer has time limits.
///
/// Other connections than TCP are served by hyper. There, a reader of a stream that has left is
/// noticed at the next write, which is a keep-alive at the latest. The write timeout counts while
/// written bytes wait to be flushed.
///
/// The listener is any [`Listener`]: a [`TcpListener`], a
/// [`UnixListener`](tokio::net::UnixListener), or your own. Handlers can extract
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) if the listener reports IP addresses.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let hub = tickcast::Hub::builder().build();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let shutdown = async { /* until Ctrl-C, say */ };
/// tickcast::serve(listener, hub.router()).with_graceful_shutdown(shutdown).await;
/// # Ok(()) }
/// ```
pub fn serve<L: Listener>(listener: L, app: Router) -> Serve<L> {
    Serve {
        listener,
        app,
        shutdown: pending(),
        grace: Serve::DEFAULT_GRACE,
        write_timeout: Serve::DEFAULT_WRITE_TIMEOUT,
        max_connections: None,
        direct: true,
    }
}

/// Maximum write timeout: a year. Far longer times do not fit into the clock.
const MAX_WRITE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An application and the listener that serves the application. Returned by
/// [`serve`](crate::serve()). Await it to serve; it ends after the shutdown.
#[must_use = "nothing is served until the value is awaited"]
pub struct Serve<L = TcpListener, F = Pending<()>> {
    listener: L,
    app: Router,
    shutdown: F,
    grace: Duration,
    write_timeout: Duration,
    max_connections: Option<usize>,
    direct: bool,
}

impl Serve {
    /// Default time for connections to finish after the shutdown: 5 s. See [`grace`](Self::grace).
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

    /// Default write timeout: 30 s. See [`write_timeout`](Self::write_timeout).
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
}

impl<L: Listener, F> Serve<L, F> {
    /// Serves until `shutdown` completes. After that, no connection is accepted, and connections
    /// without a complete request are closed. Complete requests are still answered, but request
    /// bodies are not read any further. Streams end when their hub ends them, with
    /// [`Hub::drain`](crate::Hub::drain).
    ///
    /// Default: the server never stops.
    pub fn with_graceful_shutdown<G: Future<Output = ()>>(self, shutdown: G) -> Serve<L, G> {
        let Self {
            listener,
            app,
            grace,
            write_timeout,
            max_connections,
            direct,
            ..
        } = self;
        Serve {
            listener,
            app,
            shutdown,
            grace,
            write_timeout,
            max_connections,
            direct,
        }
    }

    /// Sets how long a peer may read nothing of an answer (write timeout). After that, the
    /// connection is reset; over HTTP/2, only the one request is reset. A
    /// [hub](crate::HubBuilder::write_timeout) handles the write timeout of direct streams itself.
    ///
    /// The same time limits how long a peer may send nothing of a request body before the body
    /// breaks off. Default: 30 s ([`DEFAULT_WRITE_TIMEOUT`](Serve::DEFAULT_WRITE_TIMEOUT)). More than
    /// a year (365 days) counts as a year.
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = match timeout.as_secs() < MAX_WRITE_TIMEOUT.as_secs() {
            true => timeout,
            false => MAX_WRITE_TIMEOUT,
        };
        self
    }

    /// Sets the maximum number of connections. Beyond that number, a stream is answered with a time
    /// to come back. 64 more connections are reserved for short requests. When these are in use
    /// too, new connections wait to be accepted.
    ///
    /// The default is also the upper limit. All connections together are then as many as the
    /// process may have descriptors when serving starts, minus 256 for everything else that is
    /// open.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Sets how long connections may take to finish after the shutdown. The server does not wait
    /// longer. The remaining connections are cut when the runtime ends. Default: 5 s
    /// ([`DEFAULT_GRACE`](Serve::DEFAULT_GRACE)).
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets whether a stream over TCP and HTTP/1.1 leaves the application after its response head:
    /// a lane of the hub then writes to the socket itself. This direct path costs least. Middleware
    /// that wraps the body of a response, for example to count bytes or to limit its time, does not
    /// see such a stream. Turn the direct path off if that matters. Default: true.
    pub const fn direct(mut self, direct: bool) -> Self {
        self.direct = direct;
        self
    }

    /// Returns the address of the listener. The system may have chosen the port.
    ///
    /// # Errors
    /// If the system does not report the address.
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

impl<L, F> Serve<L, F>
where
    L: Listener,
    L::Addr: 'static,
    F: Future<Output = ()>,
{
    /// Serves until the shutdown. No single connection can stop the accept loop.
    async fn run(mut self) {
        let (graceful, stop) = (GracefulShutdown::new(), CancellationToken::new());
        let places = Arc::new(ConnectionLimit::new(self.max_connections));
        let (failing, prepared) = (LogThrottle::default(), prepare(&self.listener));
        let mut shutdown = pin!(self.shutdown);
        let (mut next, mut count) = (None, 0_usize);
        loop {
            let accepting = async {
                let permit = match next.take() {
                    Some(permit) => Some(permit),
                    None => places.next().await,
                };
                (permit, accept(&mut self.listener, prepared).await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accepting => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((socket, peer)) => {
                    // The next permit is taken before any request counts the free permits.
                    next = places.try_next();
                    let context = ConnectionContext {
                        connections: Arc::clone(&places),
                        stall: self.write_timeout,
                        direct: self.direct,
                        peer: peer.map(ConnectInfo),
                        stop: stop.clone(),
                    };
                    let (app, watcher) = (self.app.clone(), graceful.watcher());
                    tokio::spawn(handle_connection(socket, permit, context, app, watcher));
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
        if tokio::time::timeout(self.grace, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(
                "some connections did not end in time; the connections are closed with the runtime"
            );
        }
    }
}

impl<L, F> IntoFuture for Serve<L, F>
where
    L: Listener,
    L::Addr: 'static,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L: fmt::Debug, F> fmt::Debug for Serve<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// Handles one connection. A plain request for a stream moves to a lane; hyper serves everything
/// else. The connection's permit is released at the end.
async fn handle_connection(
    mut socket: Socket,
    permit: Option<OwnedSemaphorePermit>,
    context: ConnectionContext,
    app: Router,
    watcher: Watcher,
) {
    let first = tokio::select! {
        first = head::read(&mut socket, context.direct) => first,
        () = context.stop.cancelled() => return,
    };
    let (read, first) = match first {
        head::FirstRequest::Stream(mut request, read) => {
            let version = request.version();
            context.describe(&mut request);
            let Ok(mut response) = app.clone().oneshot(*request).await;
            context.connections.turn_away(&mut response, version);
            if let Some(handoff) = direct::handoff(&mut response) {
                let Socket::Tcp(socket) = socket else { return };
                return direct::hand_over(socket, version, &response, handoff, permit);
            }
            if let Some(answer) = refusal::few_events(&mut response).await {
                return Box::pin(refusal::respond(socket, &answer, false, &context)).await;
            }
            (read, Some(response))
        }
        head::FirstRequest::Other(read) => (read, None),
        head::FirstRequest::Ambiguous(why) => {
            return refusal::bad_request(socket, why, &context).await;
        }
        head::FirstRequest::Nothing => return,
    };
    // The future is boxed, so that the connections of streams, which are the most common, need no
    // memory for the future.
    Box::pin(serve_http(socket, (read, first), context, app, watcher)).await;
    drop(permit);
}
