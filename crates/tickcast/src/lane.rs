//! A lane: some of the connections, and all that it takes to keep them fed.
//!
//! It follows the log with a replica of its own, so that it renders without a lock, and brings each of its streams from the
//! place where it stands to the head. It does no IO and reads no clock: bytes go into a [`Sink`], time is an argument.

mod groups;
mod inbox;
mod stream;
mod task;
mod timers;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use slotmap::SlotMap;
use tickcast_core::{Replica, Seq};

use crate::log::Log;
use crate::stats::LaneStats;
use crate::subscription::{Start, Subscription};
use groups::{GroupId, Groups};
pub(crate) use inbox::{Command, Inbox};
use stream::{Pace, Place, Stream};
pub(crate) use task::run;
use timers::{Alarm, Timers};

slotmap::new_key_type! {
    /// A stream's number within its lane, never mistaken for an earlier one's.
    pub(crate) struct Key;
}

/// What keeps a quiet connection open: one comment line, and no blank line after it, which some clients would take for an
/// empty event.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n");

/// Where a stream's bytes go.
pub(crate) trait Sink {
    /// Offers bytes, to be taken whole or not at all.
    fn write(&mut self, bytes: &Bytes) -> Written;

    /// Nothing more will come.
    fn end(&mut self);
}

/// A sink's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// They are on their way.
    Taken,
    /// Not now. The lane is told once the sink can take bytes again.
    Refused,
    /// There is no reader any more.
    Gone,
}

/// How a lane treats its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// A reader whose next tick is older than this has fallen behind and is given newest values only.
    pub(crate) patience: Duration,
    /// A stream that was sent nothing for this long is sent a comment.
    pub(crate) keep_alive: Duration,
}

/// Some of the connections.
pub(crate) struct Lane<S> {
    replica: Replica,
    groups: Groups,
    streams: SlotMap<Key, Stream<S>>,
    timers: Timers,
    manners: Manners,
    stats: Arc<LaneStats>,
    /// Streams end as soon as they have caught up.
    finishing: bool,
    /// Working lists: paced streams to visit, streams without a reader, groups with something new.
    visits: Vec<Key>,
    gone: Vec<Key>,
    touched: Vec<GroupId>,
    /// When the ticks of this flush arrived, as far as anyone wants them.
    arrivals: Vec<Duration>,
}

impl<S: Sink> Lane<S> {
    pub(crate) fn new(replica: Replica, manners: Manners, stats: Arc<LaneStats>) -> Self {
        Self {
            replica,
            groups: Groups::default(),
            streams: SlotMap::with_key(),
            timers: Timers::default(),
            manners,
            stats,
            finishing: false,
            visits: Vec::new(),
            gone: Vec::new(),
            touched: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    /// How far the lane has followed the log.
    pub(crate) const fn head(&self) -> Seq {
        self.replica.head()
    }

    /// Takes in a stream and brings it to the head.
    pub(crate) fn open(&mut self, sink: S, subscription: Subscription, now: Duration) -> Key {
        let place = match subscription.start {
            Start::Snapshot => Place::Snapshot { at: self.head(), after: None },
            Start::After(seq) => Place::Behind(seq),
        };
        let (filter, dialect) = (subscription.filter, subscription.dialect);
        let pace = subscription.pace.map(|pace| Pace::new(pace.interval(), now));
        let (groups, market) = (&mut self.groups, self.replica.market());
        let key = self.streams.insert_with_key(|key| {
            let seat = groups.join(key, filter, dialect, market);
            Stream { sink, seat, place, pace, blocked: false, last_write: now }
        });
        self.timers.set(now + self.manners.keep_alive, key, Alarm::KeepAlive);
        self.stats.opened();
        self.catch_up(key, now);
        self.bury();
        key
    }

    /// A stream's reader has left.
    pub(crate) fn close(&mut self, key: Key) {
        self.gone.push(key);
        self.bury();
    }

    /// A sink that refused bytes can take some again.
    pub(crate) fn ready(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.blocked = false;
        self.visit(key, now);
        self.bury();
    }

    /// Follows the log to its head and sends what that brought; says whether there was anything.
    pub(crate) fn flush(&mut self, log: &Log, now: Duration) -> bool {
        let from = self.head();
        log.advance(&mut self.replica);
        if self.head() == from {
            return false;
        }
        self.groups.meet_new_symbols(self.replica.market());
        if self.replica.tape().reaches_back_to(from) {
            for (seq, entry) in self.replica.tape().after(from) {
                if let Some(frame) = &entry.frame
                    && self.groups.add(entry.symbol, seq, frame, &mut self.touched)
                {
                    self.arrivals.push(entry.arrived);
                }
            }
            self.deliver_batches(from, now);
        } else {
            self.leave_behind(from, now);
        }
        for key in std::mem::take(&mut self.visits) {
            self.visit(key, now);
        }
        self.bury();
        true
    }

    /// Notes how long each tick of the last flush took to get here, now that it has been handed on.
    pub(crate) fn note_delays(&mut self, now: Duration) {
        for arrived in self.arrivals.drain(..) {
            self.stats.delayed(now.saturating_sub(arrived));
        }
    }

    /// When something is due without a tick.
    pub(crate) fn next_alarm(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what is due by now: visits of paced streams, comments for quiet ones.
    pub(crate) fn ring(&mut self, now: Duration) {
        while let Some((key, alarm)) = self.timers.pop(now) {
            match alarm {
                Alarm::Visit => {
                    if let Some(pace) = self.streams.get_mut(key).and_then(|stream| stream.pace.as_mut()) {
                        pace.armed = false;
                    }
                    self.visit(key, now);
                }
                Alarm::KeepAlive => self.keep_alive(key, now),
            }
        }
        self.bury();
    }

    /// Ends every stream as soon as it has been sent all there is.
    pub(crate) fn finish(&mut self, now: Duration) {
        self.finishing = true;
        for key in self.streams.keys().collect::<Vec<_>>() {
            self.catch_up(key, now);
        }
        self.bury();
    }

    /// Ends up to `most` streams where they stand.
    pub(crate) fn end(&mut self, most: usize) {
        let keys: Vec<_> = self.streams.keys().take(most).collect();
        for key in keys {
            self.streams[key].sink.end();
            self.gone.push(key);
        }
        self.bury();
    }

    /// Sends each touched group its batch: the same bytes to everyone who stood at `from`.
    fn deliver_batches(&mut self, from: Seq, now: Duration) {
        let mut sent = (0, 0);
        for id in self.touched.drain(..) {
            let (batch, ticks) = self.groups.take_batch(id);
            for key in self.groups.members(id) {
                let stream = &mut self.streams[*key];
                if stream.pace.is_some() {
                    self.visits.push(*key);
                } else if stream.place == Place::Head {
                    match stream.sink.write(&batch) {
                        Written::Taken => {
                            stream.last_write = now;
                            sent = (sent.0 + ticks, sent.1 + batch.len());
                        }
                        Written::Refused => stream.fall_behind(from),
                        Written::Gone => self.gone.push(*key),
                    }
                }
            }
        }
        self.stats.sent(sent.0, sent.1);
    }

    /// The tape has moved on without the lane: everyone who stood at `from` is given newest values.
    fn leave_behind(&mut self, from: Seq, now: Duration) {
        for key in self.streams.keys().collect::<Vec<_>>() {
            let stream = &mut self.streams[key];
            if stream.place == Place::Head {
                stream.place = Place::Behind(from);
            }
            self.visit(key, now);
        }
    }

    /// Brings a stream to the head, or notes when it may be.
    fn visit(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else { return };
        match &mut stream.pace {
            Some(pace) if now < pace.next => {
                if !pace.armed {
                    pace.armed = true;
                    self.timers.set(pace.next, key, Alarm::Visit);
                }
            }
            Some(pace) => {
                pace.next = now + pace.interval;
                self.catch_up(key, now);
            }
            None => self.catch_up(key, now),
        }
    }

    /// Sends a stream what lies between its place and the head, piece by piece, as long as its sink takes them.
    fn catch_up(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| !stream.blocked) else { return };
        while !stream.arrived(self.replica.head()) {
            let every =
                stream.pace.is_none() && stream.keeps_up(self.replica.tape(), now, self.manners.patience);
            let step = self.groups.render(stream.seat.group, stream.place, every, &self.replica);
            let written = if step.bytes.is_empty() { Written::Taken } else { stream.sink.write(&step.bytes) };
            match written {
                Written::Taken => {
                    stream.place = step.place;
                    if !step.bytes.is_empty() {
                        stream.last_write = now;
                        self.stats.sent(step.ticks, step.bytes.len());
                    }
                }
                Written::Refused => {
                    stream.blocked = true;
                    return;
                }
                Written::Gone => {
                    self.gone.push(key);
                    return;
                }
            }
        }
        if self.finishing {
            stream.sink.end();
            self.gone.push(key);
        }
    }

    fn keep_alive(&mut self, key: Key, now: Duration) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.last_write + self.manners.keep_alive <= now {
            stream.last_write = now;
            // Where the sink has yet to write what it holds, no comment is needed.
            let written = if stream.blocked { Written::Refused } else { stream.sink.write(&KEEP_ALIVE) };
            match written {
                Written::Taken => self.stats.sent(0, KEEP_ALIVE.len()),
                Written::Refused => {}
                Written::Gone => {
                    self.gone.push(key);
                    return;
                }
            }
        }
        self.timers.set(stream.last_write + self.manners.keep_alive, key, Alarm::KeepAlive);
    }

    /// Forgets the streams that have no reader.
    fn bury(&mut self) {
        for key in self.gone.drain(..) {
            if let Some(stream) = self.streams.remove(key) {
                if let Some(moved) = self.groups.leave(stream.seat) {
                    self.streams[moved].seat = stream.seat;
                }
                self.stats.closed();
            }
        }
    }
}
