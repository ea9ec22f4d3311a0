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
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

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
            until: None,
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
    /// The time by which the next piece must arrive. Set while no piece arrives.
    until: Option<Instant>,
    /// The wait for the next piece. It is kept from piece to piece, because to set a timer takes
    /// longer than to look at the clock. So it may end too early.
    waiting: Option<Waiting>,
    over: Option<Unread>,
    whole: BodyRead,
}

/// A wait for the next piece of a body.
struct Waiting {
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Waiting {
    fn new(stall: Duration, stop: CancellationToken) -> Self {
        Self {
            stall,
            timer: Box::pin(sleep(stall)),
            stopped: Box::pin(stop.cancelled_owned()),
        }
    }

    /// Waits until the server stops, or until this time.
    fn poll_until(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<Unread> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Unread::Stopping);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() >= until {
                return Poll::Ready(Unread::Stalled(self.stall));
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
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
            this.until = None;
            if frame.is_none() || this.body.is_end_stream() {
                this.whole.set_complete();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let stall = this.stall;
        let until = *this.until.get_or_insert_with(|| Instant::now() + stall);
        let (stop, waiting) = (&this.stop, &mut this.waiting);
        let waiting = waiting.get_or_insert_with(|| Waiting::new(stall, stop.clone()));
        let why = ready!(waiting.poll_until(until, cx));
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    /// Returns a request body of `pieces` pieces, which arrive one after another in this time, and
    /// then nothing.
    fn slow_body(pieces: usize, apart: Duration, stop: CancellationToken) -> Body {
        let body = StreamBody::new(Box::pin(stream::unfold(0, move |count| async move {
            match count < pieces {
                true => sleep(apart).await,
                false => std::future::pending().await,
            }
            Some((
                Ok::<_, Infallible>(Frame::data(Bytes::from("x"))),
                count + 1,
            ))
        })));
        watch(Request::new(body), STALL, stop).0.into_body()
    }

    async fn next(body: &mut Body) -> Result<Frame<Bytes>, axum::Error> {
        body.frame().await.unwrap()
    }

    fn why(failed: Result<Frame<Bytes>, axum::Error>) -> Unread {
        *failed.unwrap_err().into_inner().downcast().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_between_two_pieces_counts() {
        let mut body = slow_body(3, STALL * 2 / 3, CancellationToken::new());
        for _ in 0..3 {
            next(&mut body).await.unwrap();
        }
        let last = Instant::now();
        assert_eq!(why(next(&mut body).await), Unread::Stalled(STALL));
        assert_eq!(last.elapsed(), STALL);
        assert_eq!(why(next(&mut body).await), Unread::Stalled(STALL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait_for_a_later_piece() {
        let stop = CancellationToken::new();
        let mut body = slow_body(1, STALL / 2, stop.clone());
        next(&mut body).await.unwrap();
        let (failed, ()) = tokio::join!(next(&mut body), async { stop.cancel() });
        assert_eq!(why(failed), Unread::Stopping);
    }
}
