//! The accept loop: from listening sockets to the application.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// How long a client may take over a request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How long the loop rests when accepting fails for want of resources: the sockets it lacks are freed by others.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Most bytes that a connection collects before it is written, and of a head before it is refused.
const CONNECTION_BUFFER: usize = 32 << 10;

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
                Ok((socket, _)) => attend(socket, self.app.clone(), &graceful),
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

fn attend(socket: TcpStream, app: Router, graceful: &GracefulShutdown) {
    // A batch is written whole: waiting for more to come would only delay it.
    let _ = socket.set_nodelay(true);
    let service =
        TowerToHyperService::new(app.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(CONNECTION_BUFFER);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_DEADLINE));
    let connection = builder.serve_connection(TokioIo::new(socket), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection broke off");
        }
    });
}

/// Whether an accept error is over with the connection it came from.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
