//! HTTP/2: many answers on one connection, each with a deadline of its own.
//!
//! [`Patient`](super::patient::Patient) sees the connection, and that moves as long as one answer does, or a ping. Whoever writes
//! an answer whose window is closed asks its body for nothing. So it is looked from outside what each is waiting for: if it is
//! not for us, it is for its peer.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::rt::Executor;
use hyper_util::server::conn::auto::Http2Builder;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::head;

/// Most requests of a connection at a time: as many as RFC 9113 (6.5.2) would have at least.
const CONCURRENT: u32 = 100;

/// Most bytes of an answer that wait for their window: a few pieces.
const SEND_BUFFER: usize = 64 << 10;

/// How many bytes of bodies, of one and of all on a connection, a peer may send before any are read.
const WINDOW: u32 = 256 << 10;

/// Most requests that a peer may take back before they were looked at; one more ends the connection.
const TAKEN_BACK: usize = 20;

/// Most requests of a connection that may have to be reset for what is wrong with them.
const WRONG: usize = 64;

/// How much of an answer is given out at a time. A peer takes that much within the deadline, or is cut.
const PIECE: usize = 16 << 10;

/// Sets the bounds of a connection.
pub(super) fn bound<E>(mut http2: Http2Builder<'_, E>) {
    http2
        .keep_alive_interval(Some(head::DEADLINE))
        .max_concurrent_streams(CONCURRENT)
        .max_header_list_size(head::LONGEST as u32)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(WRONG);
}

/// What one of our own was last seen to do.
#[derive(Clone, Copy)]
enum Sign {
    /// It had something to give, so what came before was taken.
    Gave,
    /// It has nothing to give yet.
    Waits,
}

thread_local! {
    /// The last sign of the request that is being polled on this thread.
    static SIGN: Cell<Option<Sign>> = const { Cell::new(None) };
}

/// Polls what is ours, and leaves a sign.
fn noted<T>(poll: Poll<T>) -> Poll<T> {
    SIGN.set(Some(if poll.is_ready() { Sign::Gave } else { Sign::Waits }));
    poll
}

/// A future of ours that whoever watches the request knows of.
pub(super) async fn ours<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| noted(future.as_mut().poll(cx))).await
}

/// Runs each request of a connection; one whose peer takes nothing of its answer for so long is reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watching(pub(super) Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Watching {
    fn execute(&self, request: F) {
        tokio::spawn(Watched { request: Box::pin(request), stall: self.0, stuck: None });
    }
}

struct Watched<F> {
    request: Pin<Box<F>>,
    stall: Duration,
    /// Set while its peer is waited for.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SIGN.set(None);
        if self.request.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SIGN.take() {
            Some(Sign::Waits) => {
                self.stuck = None;
                return Poll::Pending;
            }
            Some(Sign::Gave) => self.stuck = None,
            None => {}
        }
        let stall = self.stall;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(stall)));
        // Dropped, it is reset, and what there was of its answer is freed.
        stuck.as_mut().poll(cx)
    }
}

/// An answer in pieces that a peer can take within the deadline, and its place among the requests.
///
/// Of an answer that ends, the last byte is kept back until its peer has taken all before: once hyper has the end it is not told any
/// more what is taken, and nobody would watch what is left.
pub(super) struct Sliced {
    body: Body,
    rest: Bytes,
    /// Whether it goes on until its reader leaves: then nothing is kept back.
    endless: bool,
    _place: OwnedSemaphorePermit,
}

impl Sliced {
    pub(super) const fn new(body: Body, endless: bool, place: OwnedSemaphorePermit) -> Self {
        Self { body, rest: Bytes::new(), endless, _place: place }
    }

    /// The next of what is here, as far as it can be given out by now.
    fn next(&mut self) -> Option<Bytes> {
        let kept = usize::from(!self.endless);
        let length = self.rest.len().checked_sub(kept).filter(|length| *length > 0)?;
        let piece = self.rest.split_to(length.min(PIECE));
        if self.rest.len() == kept {
            // A byte must not hold on to all that came before it.
            self.rest = Bytes::copy_from_slice(&self.rest);
        }
        Some(piece)
    }
}

impl http_body::Body for Sliced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some(piece) = self.next() {
                return noted(Poll::Ready(Some(Ok(Frame::data(piece)))));
            }
            let frame = ready!(noted(Pin::new(&mut self.body).poll_frame(cx))).transpose()?;
            let kept = std::mem::take(&mut self.rest);
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None if kept.is_empty() => return Poll::Ready(None),
                None => {}
            }
            if !kept.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(kept))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It is asked before anything is read.
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
