//! What is done about streams that have been quiet, or stuck, for long.

use std::time::Duration;

use tickcast_core::Now;

use super::rendered::StreamPosition;
use super::stream::Stream;
use super::timers::Timer;
use super::{Key, Lane, Sink, StreamLimits, WriteOutcome};

impl<S: Sink> Lane<S> {
    /// A paced stream that nothing has moved for is at the head: there is nothing that concerns it in between. One whose visit
    /// goes on is not.
    fn advance_idle(&mut self, key: Key) {
        let head = self.head();
        let Stream { position, rate, blocked, continues, slot, .. } = &mut self.streams[key];
        // Nobody knows what it has been sent while its group has yet to look at new symbols.
        if *continues || self.groups.is_behind(slot.group) {
            return;
        }
        if let (StreamPosition::Behind(seq), Some(rate), false) = (position, rate, *blocked)
            && rate.armed.is_none()
            && *seq >= rate.until
        {
            *seq = head;
            rate.until = head;
        }
    }

    /// A reader has ended its half of the connection. Whether it still reads, only a write can tell: to one that has left it is
    /// answered with a reset. Where something is on its way already, that will do.
    pub(super) fn half_close(&mut self, key: Key, now: Duration) {
        let head = self.head();
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.sink.stop_listening();
        if stream.blocked {
            return;
        }
        match stream.sink.write(&self.keep_alive) {
            WriteOutcome::Taken => {
                stream.last_write = now;
                self.stats.sent(0, self.keep_alive.len());
            }
            WriteOutcome::Refused => stream.write_refused(head),
            WriteOutcome::Gone => self.mark_closed(key),
        }
        self.remove_closed();
    }

    /// Looks after a stream that may have been quiet, or stuck, for long.
    pub(super) fn check_idle(&mut self, key: Key, now: Now) {
        let Some(stream) = self.streams.get(key) else { return };
        let StreamLimits { keep_alive, write_timeout: stall, .. } = self.limits;
        let quiet = stream.idle_timeout(keep_alive);
        self.advance_idle(key);
        let stream = &self.streams[key];
        // One that waits for the disk is told so: its reader would take it for dead.
        if (!stream.blocked || stream.waiting()) && stream.last_write + quiet <= now.uptime {
            let sign = self.heartbeat(key, now).unwrap_or_else(|| self.keep_alive.clone());
            let head = self.head();
            let stream = &mut self.streams[key];
            match stream.sink.write(&sign) {
                WriteOutcome::Taken => {
                    stream.last_write = now.uptime;
                    self.stats.sent(0, sign.len());
                }
                // It has yet to write what it was given: it needs no comment.
                WriteOutcome::Refused => stream.write_refused(head),
                WriteOutcome::Gone => return self.mark_closed(key),
            }
        }
        let stream = &mut self.streams[key];
        if stream.blocked && !stream.waiting() && stream.last_write + stall <= now.uptime {
            stream.sink.cut();
            return self.mark_closed(key);
        }
        let limit = if stream.blocked && !stream.waiting() { stall } else { quiet };
        let due = stream.last_write + limit;
        // One that waits for the disk with a full sink is tried again when its next sign would be due, not all the time.
        let due = if due > now.uptime { due } else { now.uptime + quiet };
        self.timers.set(due, key, Timer::IdleCheck);
    }
}
