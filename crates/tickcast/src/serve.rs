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

/// How long connections may take to finish after `shutdown`, once their streams have ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Most bytes that a connection collects before it is written, and of a head before it is refused.
const CONNECTION_BUFFER: usize = 32 << 10;

/// Serves `app` on `listener` until `shutdown` is done, then lets requests under way finish: end the streams of its hubs,
/// with [`Hub::drain`](crate::Hub::drain), in `shutdown` or beside it. What has not finished 5 s later is cut.
///
/// Accepting goes on whatever single connections do.
///
/// # Errors
/// Where the listener does not know its own address, which is to say never.
pub async fn serve(listener: TcpListener, app: Router, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let address = listener.local_addr()?;
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((socket, _)) => attend(socket, app.clone(), &graceful),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%address, %error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(LAST_WORDS, graceful.shutdown()).await.is_err() {
        tracing::warn!(%address, "connections that would not end were cut");
    }
    Ok(())
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
