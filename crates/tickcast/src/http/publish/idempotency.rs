//! A batch that is sent twice is published once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use tickcast_core::Cursor;

use super::report::Report;
use crate::http::Problem;

/// For how long a batch is remembered: longer than any sensible client goes on retrying.
const REMEMBERED: Duration = Duration::from_secs(120);

/// Most batches remembered; beyond, the oldest are forgotten early.
const MOST: usize = 10_000;

/// After how many new batches the old ones are looked for.
const PRUNE_EVERY: usize = 64;

/// Longest key, in bytes.
const LONGEST: usize = 255;

/// The batches of the last two minutes, by their `Idempotency-Key`.
#[derive(Default)]
pub(in crate::http) struct IdempotencyKeys(Mutex<HashMap<String, Entry>>);

struct Entry {
    since: Duration,
    state: State,
}

enum State {
    /// Its request is under way.
    Open,
    /// Its request broke off; what comes again is passed over as far as this got.
    BrokenOff(Report),
    Done(Report),
}

/// What a request finds.
pub(super) enum Claimed<'k> {
    /// The batch was published before; this was the answer.
    Done(Report),
    /// It is this request's to publish.
    Open(Claim<'k>),
}

/// A request's hold on its key. Dropped before it is done, it leaves behind how far it got.
pub(super) struct Claim<'k> {
    key: Option<(&'k IdempotencyKeys, String)>,
    report: Report,
}

impl IdempotencyKeys {
    /// Looks up the request's key, if it has one.
    pub(super) fn claim(&self, headers: &HeaderMap, now: Duration) -> Result<Claimed<'_>, Problem> {
        let Some(key) = headers.get("idempotency-key") else {
            return Ok(Claimed::Open(Claim { key: None, report: Report::default() }));
        };
        let key = key.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()));
        let Some(key) = key else {
            let rule = format!("1 to {LONGEST} printable ASCII characters are expected");
            return Err(Problem::parameter("Idempotency-Key", rule));
        };
        let mut entries = self.lock();
        forget(&mut entries, now);
        let (since, report) = match entries.remove(key).filter(|entry| entry.is_open() || !entry.is_old(now))
        {
            None => (now, Report::default()),
            Some(Entry { since, state: State::BrokenOff(report) }) => (since, report),
            Some(Entry { since, state: State::Done(report) }) => {
                entries.insert(key.to_owned(), Entry { since, state: State::Done(report.clone()) });
                return Ok(Claimed::Done(report));
            }
            Some(open) => {
                entries.insert(key.to_owned(), open);
                let detail = "a request with this Idempotency-Key is under way; ask again later";
                return Err(Problem::new(StatusCode::CONFLICT, detail));
            }
        };
        entries.insert(key.to_owned(), Entry { since, state: State::Open });
        Ok(Claimed::Open(Claim { key: Some((self, key.to_owned())), report }))
    }

    /// Notes how a request ended. What is done is remembered from now on.
    fn settle(&self, key: &str, state: State, now: Option<Duration>) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.state = state;
            entry.since = now.unwrap_or(entry.since);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim<'_> {
    /// What became of the batch so far.
    pub(super) const fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    /// All of it was dealt with.
    pub(super) fn done(mut self, cursor: Cursor, now: Duration) -> Report {
        let mut report = std::mem::take(&mut self.report);
        report.close(cursor);
        if let Some((keys, key)) = self.key.take() {
            keys.settle(&key, State::Done(report.clone()), Some(now));
        }
        report
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((keys, key)) = self.key.take() {
            keys.settle(&key, State::BrokenOff(std::mem::take(&mut self.report)), None);
        }
    }
}

/// Drops what is old, now and then; and of too many the older half, save those under way.
fn forget(entries: &mut HashMap<String, Entry>, now: Duration) {
    if entries.len() < MOST {
        // Not every request pays for all others.
        if entries.len().is_multiple_of(PRUNE_EVERY) {
            entries.retain(|_, entry| entry.is_open() || !entry.is_old(now));
        }
        return;
    }
    let mut ages: Vec<_> = entries.values().map(|entry| entry.since).collect();
    let middle = ages.len() / 2;
    let median = *ages.select_nth_unstable(middle).1;
    entries.retain(|_, entry| entry.is_open() || entry.since > median);
}

impl Entry {
    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn is_old(&self, now: Duration) -> bool {
        self.since + REMEMBERED <= now
    }
}
