//! Requests that were published under a key, so that one that is sent again is not published again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::Time;

/// How long a key is remembered after its request last made progress: longer than any sensible client goes on retrying.
pub const KEY_RETENTION: Duration = Duration::from_secs(120);

/// Most keys remembered; beyond, the oldest are forgotten early.
pub const MAX_KEYS: usize = 10_000;

/// Most bytes of keys and reports remembered: a report names up to a hundred rejected items.
pub const MAX_KEY_BYTES: usize = 16 << 20;

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProgress<'a> {
    /// The request's key.
    pub key: &'a str,
    /// Items before this one were dealt with.
    pub next: u64,
    /// All of them were.
    pub done: bool,
    /// What became of them so far, as whoever takes requests writes it down.
    pub report: &'a [u8],
}

/// What is remembered of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Items before this one were dealt with.
    pub next: u64,
    /// All of them were.
    pub done: bool,
    /// What became of them so far.
    pub report: Box<[u8]>,
    at: Time,
}

/// The requests of the last two minutes, by their keys.
#[derive(Debug, Default)]
pub struct Keys {
    states: HashMap<Box<str>, KeyState>,
    /// Each key once, in the order in which they are looked at: none is forgotten before its time here.
    order: VecDeque<(Time, Box<str>)>,
    bytes: usize,
}

impl Keys {
    /// What is remembered of a request by now.
    #[must_use]
    pub fn get(&self, key: &str, now: Time) -> Option<&KeyState> {
        self.states.get(key).filter(|state| now.since(state.at) < KEY_RETENTION)
    }

    /// All that are remembered, and when each last made progress.
    pub fn iter(&self) -> impl Iterator<Item = (KeyProgress<'_>, Time)> {
        self.states.iter().map(|(key, KeyState { next, done, report, at })| {
            (KeyProgress { key, next: *next, done: *done, report }, *at)
        })
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Notes that a request has made progress.
    pub(crate) fn record(&mut self, note: KeyProgress<'_>, now: Time) {
        let KeyProgress { key, next, done, report } = note;
        let state = KeyState { next, done, report: report.into(), at: now };
        self.bytes += key.len() + report.len();
        match self.states.insert(key.into(), state) {
            Some(before) => self.bytes -= key.len() + before.report.len(),
            None => self.order.push_back((now, key.into())),
        }
        self.remove_expired(now);
    }

    /// Forgets what is old, and the oldest of too many.
    fn remove_expired(&mut self, now: Time) {
        // Each is looked at no more than once.
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
                // It has made progress since.
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

    fn at(secs: i64) -> Time {
        Time::from_millis(secs * 1000).unwrap()
    }

    fn record(key: &str, next: u64) -> KeyProgress<'_> {
        KeyProgress { key, next, done: false, report: b"{}" }
    }

    #[test]
    fn remembered_for_two_minutes_after_the_last_progress() {
        let mut keys = Keys::default();
        keys.record(record("a", 1), at(0));
        keys.record(record("b", 1), at(0));
        keys.record(record("a", 2), at(100));
        assert_eq!(keys.get("a", at(219)).map(|state| state.next), Some(2));
        assert_eq!(keys.get("b", at(120)), None);
        keys.record(record("c", 1), at(130));
        assert_eq!(keys.len(), 2, "b is gone");
        keys.record(record("c", 2), at(250));
        assert_eq!((keys.len(), keys.bytes), (1, 3));
        // A clock that went back forgets nothing early.
        assert!(keys.get("c", at(0)).is_some());
    }

    #[test]
    fn bounded_in_number_and_in_bytes() {
        let mut keys = Keys::default();
        for number in 0..MAX_KEYS as u64 + 10 {
            keys.record(record(&number.to_string(), number), at(1));
        }
        assert_eq!((keys.len(), keys.order.len()), (MAX_KEYS, MAX_KEYS));
        assert!(keys.get("9", at(1)).is_none() && keys.get("10", at(1)).is_some());
        let report = vec![b'x'; 1 << 20];
        for number in 0..100 {
            keys.record(
                KeyProgress { key: &format!("large {number}"), next: 1, done: true, report: &report },
                at(2),
            );
            assert!(keys.bytes <= MAX_KEY_BYTES);
        }
        assert_eq!(keys.len(), 15);
    }
}
