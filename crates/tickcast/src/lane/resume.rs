//! Resume: finds the start position of a reader that reconnects.

use tickcast_core::sse::EventFormat;
use tickcast_core::{FilterHash, Mode, Resume, ResumeError};

use super::{Key, Lane, Sink};
use crate::subscription::{Start, Subscription};

impl<S: Sink> Lane<S> {
    /// Compares the cursor of a reader with the tape. If they do not match, the reader is sent
    /// `reset` and starts again with a snapshot. If the tape in memory does not reach back to the
    /// cursor, a stream of newest ticks starts with a snapshot. A stream of every tick continues
    /// from disk if the disk still holds the ticks; otherwise it gets a `reset` too.
    pub(super) fn resolve_start(&self, mut subscription: Subscription) -> Subscription {
        let (Start::Resume(from), Some(options)) = (subscription.start, &mut subscription.session)
        else {
            return subscription;
        };
        let Resume { position, filter } = from;
        let (seq, every_tick) = (position.seq, options.mode == Mode::All);
        let digest = self.replica.tape().digest_at(position.as_of);
        let matches = digest.map(|digest| digest.check() == position.check);
        subscription.start = match matches {
            Some(false) => {
                options.broken = Some(ResumeError::Epoch);
                Start::Snapshot
            }
            _ if every_tick && !self.reaches_back_to(seq) => {
                options.broken = Some(ResumeError::Expired);
                Start::Snapshot
            }
            // The market cannot tell the reader any more which symbols are gone since then.
            _ if !every_tick && (matches.is_none() || seq < self.replica.market().forgotten()) => {
                options.last = None;
                Start::Snapshot
            }
            _ => {
                options.unverified = matches.is_none().then_some(position);
                Start::After(seq)
            }
        };
        // The stream had been changed to another filter than the filter of this request.
        if filter.is_some_and(|hash| hash != subscription.filter.filter_hash()) {
            match (subscription.start, subscription.format) {
                (Start::After(_), EventFormat::Resumable(epoch, _)) if every_tick => {
                    subscription.format = EventFormat::Resumable(epoch, Some(FilterHash::PENDING));
                }
                (Start::After(_), _) => {
                    options.last = None;
                    subscription.start = Start::Snapshot;
                }
                _ => {}
            }
        }
        subscription
    }

    /// Changes the event format of a stream after the newest ticks of all added symbols were sent.
    /// From now on, its event ids carry the hash of the new filter.
    pub(super) fn use_settled_format(&mut self, key: Key) {
        let slot = self.streams[key].slot;
        let settled = settled_format(
            self.groups.format(slot.group),
            self.groups.filter(slot.group).filter_hash(),
        );
        if settled != self.groups.format(slot.group) {
            let filter = self.groups.prepared(slot.group);
            let rated = self.streams[key].rate.is_some();
            let reached = self.reached(key);
            self.streams[key].leave_head(reached);
            let slot = self.join_group(key, filter, settled, rated);
            self.move_to_slot(key, slot);
        }
    }
}

/// Returns the event format of a stream after all added symbols were sent.
pub(super) fn settled_format(format: EventFormat, hash: FilterHash) -> EventFormat {
    match format {
        EventFormat::Resumable(epoch, Some(FilterHash::PENDING)) => {
            EventFormat::Resumable(epoch, Some(hash))
        }
        other => other,
    }
}
