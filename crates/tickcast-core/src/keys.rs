//! Idempotency keys: if a client sends a request with a key again, the request is not published again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::Time;

/// Time for which a key is stored after the last progress of its request. Well-behaved clients retry for less
/// time.
pub const KEY_RETENTION: Duration = Duration::from_secs(120);

/// Maximum number of stored keys. Above this number, the oldest keys are removed early.
pub const MAX_KEYS: usize = 10_000;

/// Maximum number of bytes of stored keys and reports. A report lists up to a hundred rejected items.
pub const MAX_KEY_BYTES: usize = 16 << 20;

/// Progress of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProgress<'a> {
    /// Idempotency key of the request.
    pub key: &'a str,
    /// Index of the next item; all items before this index were handled.
    pub next: u64,
    /// Whether all items were handled.
    pub done: bool,
    /// Report of the results so far, encoded by the code that handles publish requests.
    pub report: &'a [u8],
}

/// Stored state of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Index of the next item; all items before this index were handled.
    pub next: u64,
    /// Whether all items were handled.
    pub done: bool,
    /// Report of the results so far.
    pub report: Box<[u8]>,
    at: Time,
}

/// Requests of the last two minutes, by idempotency key.
#[derive(Debug, Default)]
pub struct Keys {
    states: HashMap<Box<str>, KeyState>,
    /// Each key once, in the order in which keys are checked for expiry. No key is removed before its time,
    /// unless a maximum is exceeded.
    order: VecDeque<(Time, Box<str>)>,
    bytes: usize,
}

impl Keys {
    /// Returns the stored state of a request at the time `now`.
    #[must_use]
    pub fn get(&self, key: &str, now: Time) -> Option<&KeyState> {
        self.states.get(key).filter(|state| now.since(state.at) < KEY_RETENTION)
    }

    /// Returns all stored requests, each with the time of its last progress.
    pub fn iter(&self) -> impl Iterator<Item = (KeyProgress<'_>, Time)> {
        self.states.iter().map(|(key, KeyState { next, done, report, at })| {
            (KeyProgress { key, next: *next, done: *done, report }, *at)
        })
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
        let KeyProgress { key, next, done, report } = progress;
        let state = KeyState { next, done, report: report.into(), at: now };
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
            let Some((at, _)) =
                self.order.front().filter(|(at, _)| too_many || now.since(*at) >= KEY_RETENTION)
            else {
                return;
            };
            let at = *at;
            let Some((_, key)) = self.order.pop_front() else { return };
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
        KeyProgress { key, next, done: false, report: b"{}" }
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
                KeyProgress { key: &format!("large {number}"), next: 1, done: true, report: &report },
                time(2),
            );
            assert!(keys.bytes <= MAX_KEY_BYTES);
        }
        assert_eq!(keys.len(), 15);
    }
}
