//! HTTP/2: many answers on one connection, each with a deadline of its own.
//!
//! [`WriteTimeoutIo`](super::patient::Patient) sees the connection, and that moves as long as one answer does, or a ping. Whoever writes
//! an answer whose window is closed asks its body for nothing. So it is looked from outside what each is waiting for: if it is
//! not for us, it is for its peer.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::server::conn::auto::Http2Builder;
use tokio::time::{Sleep, sleep};

use super::head;

/// Most requests of a connection at a time: as many as RFC 9113 (6.5.2) would have at least.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Most bytes of an answer that wait for their window: a few pieces.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// How many bytes of bodies, of one and of all on a connection, a peer may send before any are read.
const WINDOW_BYTES: u32 = 256 << 10;

/// Most requests that a peer may take back before they were looked at; one more ends the connection.
const MAX_PENDING_RESETS: usize = 20;

/// Most requests of a connection that may have to be reset for what is wrong with them.
const MAX_FAULTY_STREAMS: usize = 64;

/// Sets the bounds of a connection.
pub(super) fn bound<E>(mut http2: Http2Builder<'_, E>) {
    http2
        .keep_alive_interval(Some(head::HEAD_TIMEOUT))
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(head::MAX_HEAD_BYTES as u32)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS);
}

/// What one of our own was last seen to do.
#[derive(Clone, Copy)]
enum Activity {
    /// It had something to give, so what came before was taken.
    Gave,
    /// It has nothing to give yet.
    Waits,
}

thread_local! {
    /// The last sign of the request that is being polled on this thread.
    static SIGN: Cell<Option<Activity>> = const { Cell::new(None) };
}

/// Polls what is ours, and leaves a sign.
pub(super) fn note_activity<T>(poll: Poll<T>) -> Poll<T> {
    SIGN.set(Some(if poll.is_ready() { Activity::Gave } else { Activity::Waits }));
    poll
}

/// A future of ours that whoever watches the request knows of.
pub(super) async fn as_own_work<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| note_activity(future.as_mut().poll(cx))).await
}

/// Runs each request of a connection; one whose peer takes nothing of its answer for so long is reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct StallTimeoutExecutor(pub(super) Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StallTimeoutExecutor {
    fn execute(&self, request: F) {
        tokio::spawn(WithStallTimeout { request: Box::pin(request), stall: self.0, stuck: None });
    }
}

struct WithStallTimeout<F> {
    request: Pin<Box<F>>,
    stall: Duration,
    /// Set while its peer is waited for.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for WithStallTimeout<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SIGN.set(None);
        if self.request.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SIGN.take() {
            Some(Activity::Waits) => {
                self.stuck = None;
                return Poll::Pending;
            }
            Some(Activity::Gave) => self.stuck = None,
            None => {}
        }
        let stall = self.stall;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(stall)));
        // Dropped, it is reset, and what there was of its answer is freed.
        stuck.as_mut().poll(cx)
    }
}
