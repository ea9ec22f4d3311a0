//! How a lane's streams end: when all is said, or where they stand.

use std::time::Duration;

use tickcast_core::CloseReason;

use super::{Key, Lane, Sink, WriteOutcome};

impl<S: Sink> Lane<S> {
    /// Ends every stream as soon as it has been sent all there is.
    pub(crate) fn finish(&mut self, now: Duration) {
        self.finishing = true;
        let head = self.head();
        for key in self.streams.keys().collect::<Vec<_>>() {
            if let Some(rate) = &mut self.streams[key].rate {
                rate.until = head;
            }
            self.catch_up(key, now);
        }
        self.remove_closed();
    }

    /// Ends up to `most` streams where they stand.
    pub(crate) fn end(&mut self, most: usize) {
        let open = self.streams.iter().filter(|(_, stream)| !stream.ending).map(|(key, _)| key);
        for key in open.take(most).collect::<Vec<_>>() {
            self.close_stream(key, CloseReason::Draining);
        }
        self.remove_closed();
    }

    /// Nothing more comes for this one.
    pub(super) fn end_stream(&mut self, key: Key) {
        let head = self.head();
        let progress = self.write_bye(key);
        let stream = &mut self.streams[key];
        let ended = if progress == WriteOutcome::Taken { stream.sink.end() } else { progress };
        match ended {
            WriteOutcome::Taken | WriteOutcome::Gone => self.mark_closed(key),
            WriteOutcome::Refused => {
                stream.ending = true;
                // It no longer follows: nothing comes behind an end.
                stream.write_refused(head);
            }
        }
    }
}
