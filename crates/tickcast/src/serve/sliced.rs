//! Answers over HTTP/2, in pieces that a peer can read before the deadline.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::multiplexed::note_activity;

/// Maximum size of one piece, in bytes. A peer must read one piece before the deadline, or the
/// request is reset.
const PIECE_BYTES: usize = 16 << 10;

/// An answer in pieces that a peer can read before the deadline, and the permit of its request.
///
/// The last byte of an answer that ends is held back until its peer has room for all bytes before.
/// After hyper has the end of the body, hyper no longer reports the bytes that the peer reads. The
/// permit belongs to that last byte, so the permit is released when the byte was sent.
pub(super) struct Sliced {
    body: Body,
    rest: Bytes,
    trailers: Option<Frame<Bytes>>,
    /// The list for the last byte. `None` if the answer continues until its reader leaves; then no
    /// byte is held back.
    ends: Option<Arc<PendingEnds>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Sliced {
    pub(super) const fn new(
        body: Body,
        ends: Option<Arc<PendingEnds>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            trailers: None,
            ends,
            permit: Some(permit),
        }
    }

    /// Returns the next piece, if a piece can be sent now.
    fn next(&mut self) -> Option<Bytes> {
        let kept = usize::from(self.ends.is_some());
        let length = self
            .rest
            .len()
            .checked_sub(kept)
            .filter(|length| *length > 0)?;
        let piece = self.rest.split_to(length.min(PIECE_BYTES));
        if self.rest.len() == kept {
            // A copy, because one byte must not keep the memory of all bytes before it.
            self.rest = Bytes::copy_from_slice(&self.rest);
        }
        Some(piece)
    }

    /// Returns the last byte, together with the permit.
    fn last(&mut self, bytes: Bytes) -> Bytes {
        match (&self.ends, self.permit.take()) {
            (Some(ends), Some(permit)) if !bytes.is_empty() => {
                Bytes::from_owner(ends.begin(bytes, permit))
            }
            (_, permit) => {
                self.permit = permit;
                bytes
            }
        }
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
                return note_activity(Poll::Ready(Some(Ok(Frame::data(piece)))));
            }
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(trailers)));
            }
            let kept = std::mem::take(&mut self.rest);
            let frame = match note_activity(Pin::new(&mut self.body).poll_frame(cx)) {
                Poll::Ready(frame) => frame.transpose()?,
                // The next frame may take long. The byte in `kept` may complete an event and must
                // not wait.
                Poll::Pending if kept.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Ok(Frame::data(kept)))),
            };
            let kept = match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    self.rest = data;
                    kept
                }
                Some(Err(other)) => {
                    self.trailers = Some(other);
                    kept
                }
                None if kept.is_empty() => return Poll::Ready(None),
                None => self.last(kept),
            };
            if !kept.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(kept))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // hyper asks for the size before the first read.
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

/// The ends of a connection's answers that hyper has and has not sent yet. Nothing reports whether
/// the peer reads these ends.
#[derive(Default)]
pub(super) struct PendingEnds(Mutex<BTreeMap<Instant, usize>>);

/// The end of an answer, and its permit.
struct LastByte {
    bytes: Bytes,
    since: Instant,
    of: Arc<PendingEnds>,
    _place: OwnedSemaphorePermit,
}

impl PendingEnds {
    fn begin(self: &Arc<Self>, bytes: Bytes, permit: OwnedSemaphorePermit) -> LastByte {
        let since = Instant::now();
        *self.lock().entry(since).or_default() += 1;
        LastByte {
            bytes,
            since,
            of: Arc::clone(self),
            _place: permit,
        }
    }

    /// Waits until one end has not been sent for `stall`, for example because the peer closed its
    /// window again.
    pub(super) async fn stuck(&self, stall: Duration) {
        loop {
            let oldest = self.lock().keys().next().copied();
            match oldest {
                Some(since) if since.elapsed() >= stall => return,
                Some(since) => sleep_until(since + stall).await,
                None => sleep(stall).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Instant, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LastByte {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        if let Some(count) = open.get_mut(&self.since) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.since);
            }
        }
    }
}

impl AsRef<[u8]> for LastByte {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::Semaphore;

    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    fn permit() -> (Arc<Semaphore>, OwnedSemaphorePermit) {
        let places = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&places).try_acquire_owned().unwrap();
        (places, permit)
    }

    #[tokio::test(start_paused = true)]
    async fn the_permit_and_a_deadline_belong_to_the_last_byte() {
        let (endings, (places, permit)) = (Arc::new(PendingEnds::default()), permit());
        let mut sliced = Sliced::new(
            vec![7; PIECE_BYTES + 5].into(),
            Some(Arc::clone(&endings)),
            permit,
        );
        let mut lengths = Vec::new();
        let mut last = Bytes::new();
        while !http_body::Body::is_end_stream(&sliced) {
            last = sliced.frame().await.unwrap().unwrap().into_data().unwrap();
            lengths.push(last.len());
            assert!(endings.stuck(STALL).now_or_never().is_none());
        }
        assert_eq!(lengths, [PIECE_BYTES, 4, 1]);
        drop(sliced);
        assert_eq!(places.available_permits(), 0, "it has yet to be sent");
        let begun = Instant::now();
        endings.stuck(STALL).await;
        assert!(begun.elapsed() >= STALL);
        drop(last);
        assert_eq!(places.available_permits(), 1);
        tokio::time::timeout(3 * STALL, endings.stuck(STALL))
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn a_frame_does_not_wait_for_the_next_one_and_trailers_come_last() {
        let trailers = Frame::trailers(
            [("x".parse().unwrap(), "y".parse().unwrap())]
                .into_iter()
                .collect(),
        );
        let frames = [
            Frame::data(Bytes::from("event\n\n")),
            Frame::data(Bytes::from("event\n\n")),
        ];
        let frames = frames
            .into_iter()
            .chain([trailers])
            .map(Ok::<_, Infallible>);
        // Every frame is pending once before the frame is ready.
        let slow = stream::iter(frames).then(async |frame| {
            tokio::task::yield_now().await;
            frame
        });
        let (endings, (_, permit)) = (Arc::default(), permit());
        let body = Body::new(StreamBody::new(Box::pin(slow)));
        let mut sliced = Sliced::new(body, Some(endings), permit);
        let mut text = Vec::new();
        while let Some(frame) = sliced.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => text.extend_from_slice(&data),
                Err(frame) => assert!(frame.is_trailers() && text.len() == 14),
            }
        }
        assert_eq!(text, b"event\n\nevent\n\n");
    }
}
