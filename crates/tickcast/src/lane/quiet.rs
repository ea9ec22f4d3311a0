//! What is done about streams that have been quiet, or stuck, for long.

use std::time::Duration;

use tickcast_core::Now;

use super::stream::{Place, Stream};
use super::timers::Alarm;
use super::{Key, Lane, Manners, Sink, Written};

impl<S: Sink> Lane<S> {
    /// A paced stream that nothing has moved for is at the head: there is nothing that concerns it in between. One whose visit
    /// goes on is not.
    fn idle(&mut self, key: Key) {
        let head = self.head();
        let Stream { place, pace, blocked, goes_on, seat, .. } = &mut self.streams[key];
        // Nobody knows what it has been sent while its group has yet to look at new symbols.
        if *goes_on || self.groups.is_behind(seat.group) {
            return;
        }
        if let (Place::Behind(seq), Some(pace), false) = (place, pace, *blocked)
            && pace.armed.is_none()
            && *seq >= pace.until
        {
            *seq = head;
            pace.until = head;
        }
    }

    /// A reader has ended its half of the connection. Whether it still reads, only a write can tell: to one that has left it is
    /// answered with a reset. Where something is on its way already, that will do.
    pub(super) fn half_close(&mut self, key: Key, now: Duration) {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.sink.hear_no_more();
        if stream.blocked {
            return;
        }
        match stream.sink.write(&self.keep_alive) {
            Written::Taken => {
                stream.last_write = now;
                self.stats.sent(0, self.keep_alive.len());
            }
            Written::Refused => stream.refused(head),
            Written::Gone => self.lose(key),
        }
        self.bury();
    }

    /// Looks after a stream that may have been quiet, or stuck, for long.
    pub(super) fn look(&mut self, key: Key, now: Now) {
        let Some(stream) = self.streams.get(key) else { return };
        let Manners { keep_alive, stall, .. } = self.manners;
        let quiet = stream.may_be_quiet(keep_alive);
        self.idle(key);
        let stream = &self.streams[key];
        // One that waits for the disk is told so: its reader would take it for dead.
        if (!stream.blocked || stream.waiting()) && stream.last_write + quiet <= now.uptime {
            let sign = self.heartbeat(key, now).unwrap_or_else(|| self.keep_alive.clone());
            let head = self.head();
            let stream = &mut self.streams[key];
            match stream.sink.write(&sign) {
                Written::Taken => {
                    stream.last_write = now.uptime;
                    self.stats.sent(0, sign.len());
                }
                // It has yet to write what it was given: it needs no comment.
                Written::Refused => stream.refused(head),
                Written::Gone => return self.lose(key),
            }
        }
        let stream = &mut self.streams[key];
        if stream.blocked && !stream.waiting() && stream.last_write + stall <= now.uptime {
            stream.sink.cut();
            return self.lose(key);
        }
        let patience = if stream.blocked && !stream.waiting() { stall } else { quiet };
        let due = stream.last_write + patience;
        // One that waits for the disk with a full sink is tried again when its next sign would be due, not all the time.
        let due = if due > now.uptime { due } else { now.uptime + quiet };
        self.timers.set(due, key, Alarm::Look);
    }
}
