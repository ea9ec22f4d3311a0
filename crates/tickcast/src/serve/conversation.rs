//! Connections that hyper serves.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::task::unconstrained;
use tower::ServiceExt;

use super::context::ConnectionContext;
use super::multiplexed::{StallTimeoutExecutor, as_own_work};
use super::prefixed_io::PrefixedIo;
use super::request_body::{self, BodyRead};
use super::sliced::{PendingEnds, Sliced};
use super::socket::Socket;
use super::write_timeout_io::{ConnectionState, WriteTimeoutIo};
use super::{head, requirements};
use crate::events::Handoff;

/// Serves a connection with hyper. `read` holds the bytes that were already read. A `first`
/// response answers the first request.
pub(super) async fn serve_http(
    socket: Socket,
    (read, first): (BytesMut, Option<Response>),
    context: ConnectionContext,
    app: Router,
    watcher: Watcher,
) {
    let (course, stall) = (Arc::new(ConnectionState::default()), context.stall);
    let socket = WriteTimeoutIo::new(
        socket,
        stall,
        Arc::clone(&course),
        Arc::clone(&context.connections),
    );
    let endings = Arc::new(PendingEnds::default());
    let desk = Arc::new(HttpService {
        app,
        context,
        course,
        endings: Arc::clone(&endings),
    });
    let first = Mutex::new(first);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answered = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request, answered).await) }
    });
    let builder = auto::Builder::new(StallTimeoutExecutor(stall));
    // Another crate may add HTTP/2 to hyper. Its limits are only here, so without the feature there
    // is none.
    #[cfg(not(feature = "http2"))]
    let builder = builder.http1_only();
    let mut builder = builder;
    builder
        .http1()
        .timer(TokioTimer::new())
        .half_close(true)
        .header_read_timeout(head::HEAD_TIMEOUT)
        .max_buf_size(head::MAX_HEAD_BYTES)
        .max_headers(head::MAX_HEADERS);
    #[cfg(feature = "http2")]
    {
        builder.http2().timer(TokioTimer::new());
        super::http2_limits::apply(builder.http2());
    }
    let socket = TokioIo::new(PrefixedIo::new(read, socket));
    let connection = watcher.watch(builder.serve_connection(socket, service).into_owned());
    tokio::select! {
        // The connection has something to do more often than the timer.
        biased;
        ended = connection => if let Err(error) = ended {
            tracing::debug!(error, "a connection failed");
        },
        // While a request runs, the deadline of that request applies instead.
        // A peer that keeps the connection busy must not keep this timer from being looked at.
        () = unconstrained(endings.stuck(2 * stall)) => tracing::debug!("a peer does not read the ends of its answers; the connection is closed"),
    }
}

/// The service that answers the requests of one connection.
struct HttpService {
    app: Router,
    context: ConnectionContext,
    course: Arc<ConnectionState>,
    /// The unsent ends of the connection's answers over HTTP/2.
    endings: Arc<PendingEnds>,
}

impl HttpService {
    /// Returns the application's answer, unless an answer already exists.
    async fn answer(&self, mut request: Request<Incoming>, answered: Option<Response>) -> Response {
        let answered = answered.or_else(|| requirements::refusal(&request));
        self.context.describe(&mut request);
        if request.version() == Version::HTTP_2 {
            return self.answer_beside_others(request, answered).await;
        }
        let (request, whole) =
            request_body::watch(request, self.context.stall, self.context.stop.clone());
        let mut response = self.response(request, answered).await;
        self.context
            .connections
            .turn_away(&mut response, Version::HTTP_11);
        self.record_response(&mut response, &whole);
        response
    }

    /// Returns the answer to a request over HTTP/2. A connection has many such requests at a time,
    /// so each request takes a permit like a connection.
    async fn answer_beside_others(
        &self,
        request: Request<Incoming>,
        answered: Option<Response>,
    ) -> Response {
        let places = &self.context.connections;
        let Some(permit) = places.try_next() else {
            return places.is_full().into_response();
        };
        let (request, _) =
            request_body::watch(request, self.context.stall, self.context.stop.clone());
        let mut response = self.response(request, answered).await;
        places.turn_away(&mut response, Version::HTTP_2);
        let endless = response.extensions().get::<Handoff>().is_some();
        let ends = (!endless).then(|| Arc::clone(&self.endings));
        response.map(|body| Body::new(Sliced::new(body, ends, permit)))
    }

    async fn response(&self, request: Request<Body>, answered: Option<Response>) -> Response {
        match answered {
            Some(response) => response,
            None => {
                let Ok(response) = as_own_work(self.app.clone().oneshot(request)).await;
                response
            }
        }
    }

    /// Records how the connection continues. An answer that was given before the end of its request
    /// is the last answer.
    fn record_response(&self, response: &mut Response, whole: &BodyRead) {
        let endless = response.extensions().get::<Handoff>().is_some();
        self.course.endless.store(endless, Ordering::Relaxed);
        self.course.unread.store(!whole.is(), Ordering::Relaxed);
        if !whole.is() {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
