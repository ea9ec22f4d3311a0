//! Request bodies with a timeout for each piece.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// The reason why a body is not read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("no data of the body was received for {0:?}")]
    Stalled(Duration),
    #[error("the server is stopping")]
    Stopping,
}

/// A flag that tells whether a body was read to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyRead(Arc<AtomicBool>);

impl BodyRead {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_complete(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the request with a watched body, and a flag that tells whether the body was read to its
/// end.
pub(super) fn watch<B>(
    request: Request<B>,
    stall: Duration,
    stop: CancellationToken,
) -> (Request<Body>, BodyRead)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    let whole = BodyRead::default();
    if request.body().is_end_stream() {
        whole.set_complete();
        return (request.map(|_| Body::empty()), whole);
    }
    let watched = whole.clone();
    let watch = |body| {
        Body::new(RequestBody {
            body,
            stall,
            stop,
            waiting: None,
            over: None,
            whole: watched,
        })
    };
    (request.map(watch), whole)
}

/// A request body with a timeout.
struct RequestBody<B> {
    body: B,
    stall: Duration,
    stop: CancellationToken,
    /// The timeout of the next piece. Set while no piece arrives.
    waiting: Option<Pin<Box<dyn Future<Output = Unread> + Send>>>,
    over: Option<Unread>,
    whole: BodyRead,
}

/// Waits until the body must not be waited for any longer.
async fn stalled(stop: CancellationToken, stall: Duration) -> Unread {
    match tokio::time::timeout(stall, stop.cancelled()).await {
        Ok(()) => Unread::Stopping,
        Err(_) => Unread::Stalled(stall),
    }
}

impl<B> http_body::Body for RequestBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if this.stop.is_cancelled() {
            this.over.get_or_insert(Unread::Stopping);
        }
        if let Some(why) = this.over {
            return Poll::Ready(Some(Err(why.into())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            if frame.is_none() || this.body.is_end_stream() {
                this.whole.set_complete();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let (stop, stall) = (&this.stop, this.stall);
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(stalled(stop.clone(), stall)));
        let why = ready!(waiting.as_mut().poll(cx));
        (this.waiting, this.over) = (None, Some(why));
        Poll::Ready(Some(Err(why.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
