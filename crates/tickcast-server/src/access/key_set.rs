//! The keys of an issuer, as of the last good answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tickcast::Time;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::issuer::{Issuer, IssuerError};
use super::key::{Key, KeyName};

/// Time between two requests to the issuer while everything is well: a key that the issuer has
/// removed is valid for so long at most.
const REFRESH_INTERVAL: Duration = Duration::from_secs(900);

/// Minimum time between two requests because of tokens with an unknown key.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(60);

/// First and longest pause after a failed request. Each pause is twice as long as the one before.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(60);

/// The keys of an issuer. One task requests them; whoever needs a new key waits for this task, so
/// that nothing is lost when a reader goes away in the meantime.
pub(super) struct KeySet {
    issuer: Issuer,
    requests: watch::Sender<Requests>,
    /// Tells the task that a token has an unknown key.
    wanted: Notify,
}

/// The requests to the issuer so far. They have numbers from 1.
#[derive(Default)]
struct Requests {
    /// The keys of the last good answer.
    keys: Arc<[Key]>,
    /// The last request that has begun, the last that has ended, and the last that was good.
    begun: u64,
    ended: u64,
    good: u64,
    loaded_at: Time,
    /// When the next request because of an unknown key may be made. `None` means now.
    next_unknown: Option<Instant>,
    /// Whether there will be no more requests.
    closed: bool,
}

impl Requests {
    fn may_begin(&self) -> bool {
        self.next_unknown.is_none_or(|at| at <= Instant::now())
    }
}

impl KeySet {
    /// Creates a set without keys.
    pub(super) fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            requests: watch::Sender::default(),
            wanted: Notify::new(),
        }
    }

    /// Returns the issuer.
    pub(super) const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns the current keys.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        Arc::clone(&self.requests.borrow().keys)
    }

    /// Checks whether the keys were ever loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.requests.borrow().good > 0
    }

    /// Returns when the request for the current keys began, by the wall clock.
    pub(super) fn loaded_at(&self) -> Time {
        self.requests.borrow().loaded_at
    }

    /// Checks whether the issuer may have a key with this name that is not among the current ones.
    pub(super) fn may_have(&self, name: &KeyName) -> bool {
        let is_known = |key: &Key| key.kid().is_some() && key.kid() == name.kid.as_deref();
        self.issuer.algorithm() == name.algorithm
            && !self.requests.borrow().keys.iter().any(is_known)
    }

    /// Waits for the keys that the issuer has now, because of a token with an unknown key. Returns
    /// whether the current keys are as new as this call. They are not if the issuer was asked a
    /// moment ago, or if it does not answer.
    pub(super) async fn refresh(&self) -> bool {
        let mut requests = self.requests.subscribe();
        let (before, awaited) = {
            let requests = requests.borrow_and_update();
            let awaited = match requests.ended < requests.begun {
                true => requests.begun,
                false if requests.may_begin() => requests.begun + 1,
                false => return false,
            };
            (requests.begun, awaited)
        };
        if awaited > before {
            self.wanted.notify_one();
        }
        let ended = requests.wait_for(|requests| requests.closed || requests.ended >= awaited);
        ended.await.is_ok_and(|requests| requests.good > before)
    }

    /// Requests the keys again and again. Tells `report` why there are none, or `None` once the
    /// issuer has answered.
    pub(super) async fn keep_fresh(&self, report: impl Fn(Option<String>)) {
        let _closing = CloseOnDrop(&self.requests);
        let (mut retry, mut unknown) = (FIRST_RETRY, false);
        let url = self.issuer.shown();
        loop {
            let pause = match self.request(unknown).await {
                Ok(keys) => {
                    if keys == 0 {
                        tracing::warn!(%url, "the issuer has no key of the algorithm of this setting; all its tokens are refused");
                    }
                    report(None);
                    retry = FIRST_RETRY;
                    REFRESH_INTERVAL
                }
                Err(error) => {
                    tracing::warn!(%url, %error, "the keys of readers could not be loaded; the last ones count, and the next attempt follows in {retry:?}");
                    if !self.is_loaded() {
                        report(Some(format!("no keys of readers from {url}: {error}")));
                    }
                    let pause = retry;
                    retry = (retry * 2).min(MAX_RETRY);
                    pause
                }
            };
            unknown = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = self.unknown_key() => true,
            };
        }
    }

    /// Requests the keys once. Returns their number. `unknown` says that a token has an unknown key.
    ///
    /// # Errors
    ///
    /// If the issuer does not answer with keys. Then the last good ones count.
    pub(super) async fn request(&self, unknown: bool) -> Result<usize, IssuerError> {
        self.requests.send_modify(|requests| {
            requests.begun += 1;
            if unknown {
                requests.next_unknown = Some(Instant::now() + UNKNOWN_KEY_INTERVAL);
            }
        });
        let began = SystemTime::now().into();
        let answer = self.issuer.request_keys().await;
        let mut result = Ok(0);
        self.requests.send_modify(|requests| {
            requests.ended = requests.begun;
            result = answer.map(|keys| {
                requests.good = requests.begun;
                requests.loaded_at = began;
                requests.keys = keys.into();
                requests.keys.len()
            });
        });
        result
    }

    /// Waits for a token with an unknown key, until a request because of it may be made.
    async fn unknown_key(&self) {
        loop {
            self.wanted.notified().await;
            if self.requests.borrow().may_begin() {
                return;
            }
        }
    }
}

/// Tells those who wait that there will be no more requests.
struct CloseOnDrop<'a>(&'a watch::Sender<Requests>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|requests| requests.closed = true);
    }
}
