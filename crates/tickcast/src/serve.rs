//! The accept loop: from listening sockets to the application.

mod direct;
mod head;
mod rewound;

use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use rewound::Rewound;

/// How long the loop rests when accepting fails for want of resources: the sockets it lacks are freed by others.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long a peer may leave data unacknowledged, or a closed window closed, before the system gives it up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

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
}

impl Server {
    /// How long connections may take to finish after the shutdown, unless [said otherwise](Self::grace): 5 s.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// The listener is bound already, so whoever calls knows its port.
    #[must_use]
    pub const fn new(listener: TcpListener, app: Router) -> Self {
        Self { listener, app, grace: Self::GRACE }
    }

    /// How long connections may take to finish after the shutdown. What has not finished then is cut.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Serves until `shutdown` is done: from then on no connection is accepted, and those there are may finish. Streams do
    /// so when their hub ends them, with [`Hub::drain`](crate::Hub::drain).
    ///
    /// Whatever a single connection does, accepting goes on.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((socket, _)) => {
                    tokio::spawn(attend(socket, self.app.clone(), graceful.watcher()));
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(self.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections that would not end were cut");
        }
    }
}

/// Serves a connection: a plain request for a stream leaves for a lane, everything else is hyper's.
async fn attend(mut socket: TcpStream, app: Router, watcher: Watcher) {
    tune(&socket);
    match head::read(&mut socket).await {
        head::First::Stream(request, read) => {
            let version = request.version();
            let Ok(mut response) = app.clone().oneshot(*request).await;
            match direct::handoff(&mut response) {
                Some(handoff) => direct::hand_over(socket, version, &response, handoff),
                None => converse(Rewound::new(read, socket), Some(response), app, watcher).await,
            }
        }
        head::First::Other(read) => converse(Rewound::new(read, socket), None, app, watcher).await,
        head::First::Nothing => {}
    }
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

/// Leaves a connection to hyper. Where its first request was answered already, that is the answer to it.
async fn converse(socket: Rewound, first: Option<Response>, app: Router, watcher: Watcher) {
    let first = Mutex::new(first);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let answered = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let app = app.clone();
        async move {
            match answered {
                Some(response) => Ok(response),
                None => app.oneshot(request.map(Body::new)).await,
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head::DEADLINE).max_buf_size(head::LONGEST);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(head::DEADLINE));
    let connection = watcher.watch(builder.serve_connection(TokioIo::new(socket), service).into_owned());
    if let Err(error) = connection.await {
        tracing::debug!(error, "a connection broke off");
    }
}

/// Whether an accept error is over with the connection it came from.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
