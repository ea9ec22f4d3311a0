//! Idempotency keys: if a client sends a request with a key again, the request is not published
//! again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::Time;

/// Time for which an idempotency key is stored: 2 minutes after the last progress of its request.
///
/// The key is the value of the header `Idempotency-Key` of a publish request. If a client repeats a
/// request within this time, its ticks are not published again. After this time, the key is
/// removed, and a request with the same key counts as a new request. So a client should stop its
/// retries earlier. A restart loses the keys, unless the tape is on disk.
pub const KEY_RETENTION: Duration = Duration::from_secs(120);

/// Maximum number of stored keys: 10,000. Above this number, the oldest keys are removed before
/// their [time](KEY_RETENTION).
pub const MAX_KEYS: usize = 10_000;

/// Maximum size of all stored keys and reports: 16 MiB. Above this size, the oldest keys are
/// removed before their [time](KEY_RETENTION). A report lists up to a hundred rejected items.
pub const MAX_KEY_BYTES: usize = 16 << 20;

/// How much of one publish request was handled. The request is published in parts, and each part
/// has a progress.
///
/// Pass it to [`Sequencer::record_key`](crate::Sequencer::record_key).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProgress<'a> {
    /// Idempotency key of the request: the value of its header `Idempotency-Key`.
    pub key: &'a str,
    /// Index of the next item in the request, from 0. All items before this index were handled:
    /// accepted, dropped or rejected.
    pub next: u64,
    /// Whether all items were handled.
    pub done: bool,
    /// Report of the results so far, encoded by the code that handles publish requests.
    pub report: &'a [u8],
}

/// Stored progress of one publish request. Returned by [`Keys::get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Index of the next item in the request, from 0. All items before this index were handled.
    pub next: u64,
    /// Whether all items were handled.
    pub done: bool,
    /// Report of the results so far, as passed in [`KeyProgress::report`].
    pub report: Box<[u8]>,
    at: Time,
}

/// Publish requests of the last two minutes, by idempotency key. Returned by
/// [`Sequencer::keys`](crate::Sequencer::keys). Default: no request.
#[derive(Debug, Default)]
pub struct Keys {
    states: HashMap<Box<str>, KeyState>,
    /// Each key once, in the order in which keys are checked for expiry. No key is removed before
    /// its time, unless a maximum is exceeded.
    order: VecDeque<(Time, Box<str>)>,
    bytes: usize,
}

impl Keys {
    /// Returns the stored state of a request at the time `now`. Returns `None` if the key is
    /// unknown or its last progress is two minutes old.
    #[must_use]
    pub fn get(&self, key: &str, now: Time) -> Option<&KeyState> {
        self.states
            .get(key)
            .filter(|state| now.since(state.at) < KEY_RETENTION)
    }

    /// Returns all stored requests, each with the time of its last progress.
    pub fn iter(&self) -> impl Iterator<Item = (KeyProgress<'_>, Time)> {
        self.states.iter().map(
            |(
                key,
                KeyState {
                    next,
                    done,
                    report,
                    at,
                },
            )| {
                (
                    KeyProgress {
                        key,
                        next: *next,
                        done: *done,
                        report,
                    },
                    *at,
                )
            },
        )
    }

    /// Returns the number of stored requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Checks whether no request is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Records the progress of a request.
    pub(crate) fn record(&mut self, progress: KeyProgress<'_>, now: Time) {
        let KeyProgress {
            key,
            next,
            done,
            report,
        } = progress;
        let state = KeyState {
            next,
            done,
            report: report.into(),
            at: now,
        };
        self.bytes += key.len() + report.len();
        match self.states.insert(key.into(), state) {
            Some(replaced) => self.bytes -= key.len() + replaced.report.len(),
            None => self.order.push_back((now, key.into())),
        }
        self.remove_expired(now);
    }

    /// Removes expired keys, and the oldest keys if a maximum is exceeded.
    fn remove_expired(&mut self, now: Time) {
        // Each key is checked at most once.
        for _ in 0..self.order.len() {
            let too_many = self.states.len() > MAX_KEYS || self.bytes > MAX_KEY_BYTES;
            let Some((at, _)) = self
                .order
                .front()
                .filter(|(at, _)| too_many || now.since(*at) >= KEY_RETENTION)
            else {
                return;
            };
            let at = *at;
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            match self.states.get(&key) {
                // The request has made progress since then.
                Some(state) if state.at > at => self.order.push_back((state.at, key)),
                _ => {
                    if let Some(state) = self.states.remove(&key) {
                        self.bytes -= key.len() + state.report.len();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(secs: i64) -> Time {
        Time::from_millis(secs * 1000).unwrap()
    }

    fn progress(key: &str, next: u64) -> KeyProgress<'_> {
        KeyProgress {
            key,
            next,
            done: false,
            report: b"{}",
        }
    }

    #[test]
    fn a_key_is_stored_for_two_minutes_after_its_last_progress() {
        let mut keys = Keys::default();
        keys.record(progress("a", 1), time(0));
        keys.record(progress("b", 1), time(0));
        keys.record(progress("a", 2), time(100));
        assert_eq!(keys.get("a", time(219)).map(|state| state.next), Some(2));
        assert_eq!(keys.get("b", time(120)), None);
        keys.record(progress("c", 1), time(130));
        assert_eq!(keys.len(), 2, "b is gone");
        keys.record(progress("c", 2), time(250));
        assert_eq!((keys.len(), keys.bytes), (1, 3));
        // A clock that goes back removes no key early.
        assert!(keys.get("c", time(0)).is_some());
    }

    #[test]
    fn keys_are_bounded_in_number_and_in_bytes() {
        let mut keys = Keys::default();
        for number in 0..MAX_KEYS as u64 + 10 {
            keys.record(progress(&number.to_string(), number), time(1));
        }
        assert_eq!((keys.len(), keys.order.len()), (MAX_KEYS, MAX_KEYS));
        assert!(keys.get("9", time(1)).is_none() && keys.get("10", time(1)).is_some());
        let report = vec![b'x'; 1 << 20];
        for number in 0..100 {
            keys.record(
                KeyProgress {
                    key: &format!("large {number}"),
                    next: 1,
                    done: true,
                    report: &report,
                },
                time(2),
            );
            assert!(keys.bytes <= MAX_KEY_BYTES);
        }
        assert_eq!(keys.len(), 15);
    }
}
