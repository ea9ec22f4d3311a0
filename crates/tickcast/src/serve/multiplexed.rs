//! HTTP/2: many answers on one connection, each with its own deadline.
//!
//! [`WriteTimeoutIo`](super::write_timeout_io::WriteTimeoutIo) sees only the connection, which
//! makes progress as long as one answer or a ping does. Code that writes an answer with a closed
//! window does not poll the body of the answer. So a wrapper checks from outside whether each
//! request waits for this server. If not, the request waits for its peer.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

/// The last recorded activity of the server's own code in a request.
#[derive(Clone, Copy)]
enum Activity {
    /// The code had something to send, so the peer has accepted the bytes before.
    Gave,
    /// The code has nothing to send yet.
    Waits,
}

thread_local! {
    /// The last activity of the request that is being polled on this thread.
    static SIGN: Cell<Option<Activity>> = const { Cell::new(None) };
}

/// Records the result of a poll of the server's own code.
pub(super) fn note_activity<T>(poll: Poll<T>) -> Poll<T> {
    SIGN.set(Some(if poll.is_ready() {
        Activity::Gave
    } else {
        Activity::Waits
    }));
    poll
}

/// Wraps a future of the server's own code, so that the stall timeout knows about its activity.
pub(super) async fn as_own_work<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| note_activity(future.as_mut().poll(cx))).await
}

/// An executor that runs each request of a connection. A request is reset if its peer reads nothing
/// of the answer for this time.
#[derive(Debug, Clone, Copy)]
pub(super) struct StallTimeoutExecutor(pub(super) Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StallTimeoutExecutor {
    fn execute(&self, request: F) {
        tokio::spawn(WithStallTimeout {
            request: Box::pin(request),
            stall: self.0,
            stuck: None,
        });
    }
}

struct WithStallTimeout<F> {
    request: Pin<Box<F>>,
    stall: Duration,
    /// A timer that is set while the request waits for its peer.
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
        // If the request is dropped, the request is reset and the rest of its answer is freed.
        stuck.as_mut().poll(cx)
    }
}
