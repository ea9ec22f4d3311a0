//! Bodies that are produced piece by piece, on demand.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio_util::task::AbortOnDropHandle;

use super::Cut;

/// Approximate size of one piece of an answer, in bytes. A slow client holds one piece in the code
/// that writes to the socket.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Maximum time until the client reads the next piece: the same as the write timeout of a socket.
/// The check runs once per interval, so an unread piece is given up after at most twice this time.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// The remainder of an answer. It holds the permit of the answer: a remainder that waits for a slow disk
/// counts, although its client may be gone.
pub(crate) trait Pull: Send + Sized + 'static {
    /// Returns the next piece, and the remainder if there is one.
    fn pull(self) -> impl Future<Output = Result<(Bytes, Option<Self>), Cut>> + Send;
}

/// The state of a body that was started, and the number of pieces that were read.
struct PieceQueue<P> {
    rest: Option<P>,
    taken: u64,
    /// The task that watches the body, and that ends with the body.
    watching: Option<AbortOnDropHandle<()>>,
}

/// Returns a body that sends `ready` first and then the pieces of `rest`. The remainder is dropped
/// when the body ends, when the body is dropped, and when the client stops reading. Code that writes a body does not poll the body while the socket is full, so a separate
/// task watches the time.
pub(crate) fn body<P: Pull>(ready: Option<Bytes>, rest: P) -> Body {
    let held = Arc::new(Mutex::new(PieceQueue {
        rest: Some(rest),
        taken: 0,
        watching: None,
    }));
    lock(&held).watching = Some(AbortOnDropHandle::new(tokio::spawn(watch(Arc::downgrade(
        &held,
    )))));
    let rest = stream::try_unfold(Some(held), async |held| {
        let Some(held) = held else { return Ok(None) };
        let rest = lock(&held).rest.take().ok_or(Cut::Slow)?;
        let (piece, rest) = rest.pull().await?;
        let rest = rest.map(|rest| {
            let mut put = lock(&held);
            (put.rest, put.taken) = (Some(rest), put.taken + 1);
            drop(put);
            held
        });
        Ok(Some((piece, rest)))
    });
    Body::from_stream(stream::iter(ready).map(Ok::<_, Cut>).chain(rest))
}

/// Drops the remainder of a body when no piece was read for too long.
async fn watch<P>(held: Weak<Mutex<PieceQueue<P>>>) {
    let mut seen = 0;
    loop {
        tokio::time::sleep(PIECE_TIMEOUT).await;
        let Some(held) = held.upgrade() else { return };
        let mut held = lock(&held);
        // While a piece is being produced, `rest` is empty and there is nothing to take away.
        if held.taken == std::mem::replace(&mut seen, held.taken) && held.rest.take().is_some() {
            return;
        }
    }
}

fn lock<P>(held: &Mutex<PieceQueue<P>>) -> std::sync::MutexGuard<'_, PieceQueue<P>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::{OwnedSemaphorePermit, Semaphore};

    use super::*;

    /// An answer that counts down.
    struct Count(u8, OwnedSemaphorePermit);

    impl Pull for Count {
        async fn pull(self) -> Result<(Bytes, Option<Self>), Cut> {
            let rest = self.0.checked_sub(1);
            Ok((vec![self.0].into(), rest.map(|rest| Self(rest, self.1))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_loses_its_permit_and_the_rest() {
        let places = Arc::new(Semaphore::new(1));
        let place = || Arc::clone(&places).try_acquire_owned();
        let all = body(Some(vec![9].into()), Count(2, place().unwrap()))
            .collect()
            .await
            .unwrap();
        assert_eq!(*all.to_bytes(), [9, 2, 1, 0]);
        let mut slow = body(None, Count(200, place().unwrap()));
        for n in (190..=200).rev() {
            assert_eq!(
                *slow.frame().await.unwrap().unwrap().into_data().unwrap(),
                [n]
            );
            tokio::time::sleep(PIECE_TIMEOUT - Duration::from_secs(1)).await;
            assert!(place().is_err(), "it goes on, if slowly");
        }
        tokio::time::sleep(2 * PIECE_TIMEOUT).await;
        assert!(place().is_ok());
        assert!(
            slow.frame().await.unwrap().is_err(),
            "it does not look whole"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_disconnects_releases_its_permit() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let mut left = body(None, Count(9, place));
        left.frame().await.unwrap().unwrap();
        drop(left);
        assert_eq!(places.available_permits(), 1);
        tokio::task::yield_now().await;
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        assert_eq!(tasks, 0, "nobody watches what is no more");
    }
}
