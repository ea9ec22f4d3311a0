//! Idempotency keys: a batch that is sent twice is published once.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use tickcast_core::{Cursor, KeyProgress, Tick, TickError};

use super::read::Read;
use super::report::Report;
use crate::access::Grant;
use crate::http::Problem;
use crate::hub::Hub;
use crate::log::RequestProgress;
use crate::publisher::{Publisher, Receipt};

/// Maximum length of a key, in bytes.
const MAX_KEY_LENGTH: usize = 255;

/// The keys of requests in progress. The log stores the progress of each key and the report of each
/// completed request, also across a restart.
#[derive(Default)]
pub(in crate::http) struct IdempotencyKeys(Mutex<HashSet<String>>);

/// The result of a key lookup.
pub(super) enum Claimed<'k> {
    /// The report of a batch that was already published.
    Done(Report),
    /// A claim to publish the batch.
    Open(Claim<'k>),
}

/// The exclusive claim of a request on its key, if the request has a key.
pub(super) struct Claim<'k> {
    key: Option<(&'k IdempotencyKeys, String)>,
    report: RefCell<Report>,
}

impl IdempotencyKeys {
    /// Looks up and claims the key of the request, if the request has a key.
    ///
    /// Each publisher with a grant has keys of its own.
    pub(super) async fn claim(
        &self,
        headers: &HeaderMap,
        grant: Option<&Grant>,
        hub: &Hub,
    ) -> Result<Claimed<'_>, Problem> {
        let Some(key) = headers.get("idempotency-key") else {
            return Ok(Claimed::Open(Claim {
                key: None,
                report: RefCell::default(),
            }));
        };
        // No key begins with a space, so that those of publishers with a name are their own.
        let owner = grant.map_or_else(String::new, |grant| format!(" {} ", grant.name()));
        let longest = MAX_KEY_LENGTH - owner.len();
        let key = key
            .to_str()
            .ok()
            .filter(|key| (1..=longest).contains(&key.len()));
        let Some(key) = key.map(|key| owner + key) else {
            let rule = format!("expected 1 to {longest} printable ASCII characters");
            return Err(Problem::parameter("Idempotency-Key", rule));
        };
        let key = key.as_str();
        if !self.lock().insert(key.to_owned()) {
            let detail = "a request with this Idempotency-Key is in progress; try again later";
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        let mut claim = Claim {
            key: Some((self, key.to_owned())),
            report: RefCell::default(),
        };
        // A request that has broken off may have published something that is not visible yet.
        let _ = hub.wait_visible().await;
        let now = hub.now().wall;
        let known = hub.log().read(|log| log.keys().get(key, now).cloned());
        if let Some(state) = known {
            let report = Report::restored(&state.report, state.next);
            if state.done {
                return Ok(Claimed::Done(report));
            }
            claim.report = RefCell::new(report);
        }
        Ok(Claimed::Open(claim))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns 422. The ticks of this body are not published, and the sender must know that.
pub(super) fn key_reused() -> Problem {
    let detail = "Idempotency-Key: the key was sent with another body before; send each batch with a new key";
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    problem.with("parameter", "Idempotency-Key")
}

impl Claim<'_> {
    /// Returns the report of the batch so far.
    pub(super) const fn report(&self) -> &RefCell<Report> {
        &self.report
    }

    /// Publishes one part of the batch and stores the progress in the same step. After that, the
    /// part of the body in `read` is handled. If the disk fails, the part is not handled, and the
    /// report says why.
    pub(super) async fn publish(
        &mut self,
        publisher: &Publisher,
        mut batch: &[(u64, Tick)],
        read: Read,
    ) {
        let mut more = true;
        while more {
            let before = self.report.borrow().clone();
            let (receipt, rest) = self.append(publisher, batch, read);
            (batch, more) = (rest, receipt.more);
            if let Err(error) = receipt.settle().await {
                let mut report = self.report.borrow_mut();
                *report = before;
                report.stop(error);
                return;
            }
        }
    }

    /// Appends ticks to the log. Returns those that it could not take yet.
    fn append<'p, 't>(
        &self,
        publisher: &'p Publisher,
        batch: &'t [(u64, Tick)],
        read: Read,
    ) -> (Receipt<'p>, &'t [(u64, Tick)]) {
        let (mut written, handled) = (Vec::new(), Cell::new(0));
        let each = |i: usize, outcome| {
            let (at, tick) = &batch[i];
            self.report.borrow_mut().count(*at, tick.symbol, outcome);
            handled.set(i + 1);
        };
        let ticks = batch.iter().map(|(_, tick)| tick);
        let mut ticks = ticks.enumerate().peekable();
        let receipt = publisher.append(&mut ticks, each, || {
            let mut report = self.report.borrow_mut();
            if report.stopped.is_none() && handled.get() == batch.len() {
                report.read = Some(read);
            }
            drop(report);
            self.progress(false, &mut written)
        });
        (receipt, &batch[handled.get()..])
    }

    /// Completes the batch and returns its report.
    ///
    /// # Errors
    /// If the end of the batch cannot be stored on disk.
    pub(super) async fn done(
        self,
        publisher: &Publisher,
        cursor: Cursor,
        read: Read,
    ) -> Result<Report, TickError> {
        self.report.borrow_mut().close(cursor, read);
        let mut more = self.key.is_some();
        while more {
            let receipt = self.append_end(publisher);
            more = receipt.more;
            receipt.settle().await?;
        }
        Ok(self.report.take())
    }

    /// Appends to the log that the batch is complete.
    fn append_end<'p>(&self, publisher: &'p Publisher) -> Receipt<'p> {
        let (mut written, mut nothing) = (Vec::new(), std::iter::empty().peekable());
        publisher.append(
            &mut nothing,
            |_, _| {},
            || self.progress(true, &mut written),
        )
    }

    /// Returns the progress of the request, if the request has a key.
    fn progress<'n>(&'n self, done: bool, written: &'n mut Vec<u8>) -> Option<RequestProgress<'n>> {
        let (_, key) = self.key.as_ref()?;
        let report = self.report.borrow();
        *written = report.to_bytes();
        Some(RequestProgress {
            key: KeyProgress {
                key,
                next: report.next,
                done,
                report: written,
            },
            has_published: report.has_published(),
        })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((keys, key)) = self.key.take() {
            keys.lock().remove(&key);
        }
    }
}
