//! Handles streams that were quiet, or blocked, for a long time.

use std::time::Duration;

use tickcast_core::Now;

use super::rendered::StreamPosition;
use super::stream::Stream;
use super::timers::Timer;
use super::{Key, Lane, Sink, StreamLimits, WriteOutcome};

impl<S: Sink> Lane<S> {
    /// Moves an idle stream with a rate to the head, because there is nothing for the stream in
    /// between. A stream with an unfinished visit does not move.
    fn advance_idle(&mut self, key: Key) {
        let head = self.head();
        let Stream {
            position,
            rate,
            blocked,
            continues,
            slot,
            ..
        } = &mut self.streams[key];
        // While the group has not been compared with all new symbols, it is unknown whether the
        // stream has been sent everything. The ticks of a batch are not sent until the stream is
        // visited.
        let group = slot.group;
        if *continues || self.groups.is_behind(group) || self.groups.has_batch(group) {
            return;
        }
        if let (StreamPosition::Behind(seq), Some(rate), false) = (position, rate, *blocked)
            && rate.armed.is_none()
            && !rate.queued
            && *seq >= rate.until
        {
            *seq = head;
            rate.until = head;
        }
    }

    /// Handles a reader that has closed its half of the connection. Only a write can show whether
    /// the reader still reads: if the reader has left, the peer answers with a reset. If a write is
    /// already in progress, no extra write is needed.
    pub(super) fn half_close(&mut self, key: Key, now: Duration) {
        if !self.streams.contains_key(key) {
            return;
        }
        let reached = self.reached(key);
        let stream = &mut self.streams[key];
        stream.sink.stop_listening();
        if stream.blocked {
            return;
        }
        match stream.sink.write(&self.keep_alive) {
            WriteOutcome::Taken => {
                stream.last_write = now;
                self.stats.sent(0, self.keep_alive.len());
            }
            WriteOutcome::Refused => stream.write_refused(reached),
            WriteOutcome::Gone => self.mark_closed(key),
        }
        self.remove_closed();
    }

    /// Checks a stream that may have been quiet, or blocked, for a long time.
    pub(super) fn check_idle(&mut self, key: Key, now: Now) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let StreamLimits {
            keep_alive,
            write_timeout,
            ..
        } = self.limits;
        let idle_timeout = stream.idle_timeout(keep_alive);
        self.advance_idle(key);
        let stream = &self.streams[key];
        // A stream that waits for the disk is also sent a keep-alive. Otherwise its reader would
        // take the connection for dead.
        if (!stream.blocked || stream.waiting()) && stream.last_write + idle_timeout <= now.uptime {
            let payload = self
                .heartbeat(key, now)
                .unwrap_or_else(|| self.keep_alive.clone());
            let reached = self.reached(key);
            let stream = &mut self.streams[key];
            match stream.sink.write(&payload) {
                WriteOutcome::Taken => {
                    stream.last_write = now.uptime;
                    self.stats.sent(0, payload.len());
                }
                // The sink still has bytes to write, so the stream needs no keep-alive.
                WriteOutcome::Refused => stream.write_refused(reached),
                WriteOutcome::Gone => return self.mark_closed(key),
            }
        }
        let stream = &mut self.streams[key];
        if stream.blocked && !stream.waiting() && stream.last_write + write_timeout <= now.uptime {
            stream.sink.cut();
            return self.mark_closed(key);
        }
        let timeout = if stream.blocked && !stream.waiting() {
            write_timeout
        } else {
            idle_timeout
        };
        let due = stream.last_write + timeout;
        // A stream that waits for the disk with a full sink is tried again when its next keep-alive
        // would be due, and not at once.
        let due = if due > now.uptime {
            due
        } else {
            now.uptime + idle_timeout
        };
        self.timers.set(due, key, Timer::IdleCheck);
    }
}
