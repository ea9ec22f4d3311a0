//! Answers that the accept loop sends itself. Each is the last answer on its connection.

use std::sync::Arc;

use axum::body::{Body, HttpBody, to_bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use super::context::ConnectionContext;
use super::direct;
use super::socket::Socket;
use super::write_timeout_io::{ConnectionState, WriteTimeoutIo};
use crate::http::Problem;

/// Maximum size of the answer to a stream that is told to come back, in bytes.
const BUSY_STREAM_BYTES: u64 = 1024;

/// Refuses a request that two servers might interpret differently.
pub(super) async fn bad_request(socket: Socket, why: &str, context: &ConnectionContext) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, why).to_json();
    let length = problem.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{problem}"
    );
    respond(socket, answer.as_bytes(), true, context).await;
}

/// Returns the whole answer to a request for a stream, if the answer is a few events that are
/// already complete. Such an answer tells the reader to come back. Thousands of these answers may
/// be needed at once, so nothing else is allocated for them.
pub(super) async fn few_events(response: &mut Response<Body>) -> Option<BytesMut> {
    let events = HeaderValue::from_static("text/event-stream");
    let length = response
        .body()
        .size_hint()
        .exact()
        .filter(|bytes| *bytes <= BUSY_STREAM_BYTES)?;
    if response.status() != StatusCode::OK
        || response.headers().get(header::CONTENT_TYPE) != Some(&events)
    {
        return None;
    }
    let mut answer = direct::head(response, &format!("content-length: {length}\r\n"));
    let body = std::mem::take(response.body_mut());
    answer.extend_from_slice(&to_bytes(body, BUSY_STREAM_BYTES as usize).await.ok()?);
    Some(answer)
}

/// Writes an answer and ends the connection. If a part of the peer's request is unread, the
/// connection lingers.
pub(super) async fn respond(
    socket: Socket,
    answer: &[u8],
    unread: bool,
    context: &ConnectionContext,
) {
    let course = Arc::new(ConnectionState {
        unread: unread.into(),
        ..ConnectionState::default()
    });
    let mut socket = WriteTimeoutIo::new(
        socket,
        context.stall,
        course,
        Arc::clone(&context.connections),
    );
    let saying = async {
        socket.write_all(answer).await?;
        socket.shutdown().await
    };
    // A failure is ignored: the peer need not read the answer.
    let _ = saying.await;
}
