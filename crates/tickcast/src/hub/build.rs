//! Builds a hub from its settings.

use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, OnceLock};

use tickcast_core::{Epoch, Sequencer, Time};

use super::delayed_market::DelayedMarket;
#[cfg(feature = "http")]
use super::open_rate::OpenRate;
use super::{BuildError, Filters, Hub, HubBuilder, Inner, PreparedStreams, Revocation, Subjects};
use crate::clock::{Clock, WallClockMonitor};
use crate::log::Log;
use crate::overload::Overload;
use crate::stats::RefusedStreams;
use crate::workers::Workers;

/// What the markets of a hub share: the counts and the rules for all their readers.
#[derive(Default)]
struct Shared {
    subjects: Arc<Subjects>,
    addresses: Arc<Subjects>,
    #[cfg(feature = "http")]
    opened: Arc<OpenRate>,
    revocation: Revocation,
    overload: Overload,
    refused: Arc<RefusedStreams>,
    prepared_streams: Arc<PreparedStreams>,
    workers: Arc<Workers>,
}

impl Hub {
    /// Returns a builder for a hub with custom settings.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// Creates an empty hub in a new epoch.
    fn new(settings: HubBuilder) -> Self {
        let epoch = Epoch::new(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)));
        Self::of(
            Arc::new(Log::new(Sequencer::new(epoch, settings.limits))),
            epoch,
            settings,
        )
    }

    /// Creates a hub that continues from the end of its tape on disk.
    #[cfg(feature = "tape")]
    fn on_disk(
        mut opened: tickcast_tape::Opened,
        settings: HubBuilder,
    ) -> Result<Self, BuildError> {
        let epoch = opened.sequencer.cursor().epoch;
        let sealed = std::mem::replace(&mut opened.segment_sealed, std::sync::mpsc::channel().1);
        let log = Arc::new(Log::on_disk(opened).map_err(BuildError::Thread)?);
        crate::log::run_checkpointer(&log, sealed);
        Ok(Self::of(log, epoch, settings))
    }

    fn of(log: Arc<Log>, epoch: Epoch, mut settings: HubBuilder) -> Self {
        let shares = 1 + settings.delays.len();
        settings.max_filter_bytes /= shares;
        settings.max_answer_bytes /= shares;
        settings.max_buffered_bytes /= shares;
        settings.max_send_buffer_bytes /= shares;
        let hub = Self::with(log, (epoch, Clock::start()), settings, Shared::default());
        hub.follow_with_delays();
        hub
    }

    /// Creates a market that is behind `live`.
    pub(super) fn delayed(live: &Self, log: Arc<Log>, settings: HubBuilder) -> Self {
        let clock = live.0.clock.delayed_by(settings.delay);
        let shared = Shared {
            subjects: Arc::clone(&live.0.subjects),
            addresses: Arc::clone(&live.0.addresses),
            #[cfg(feature = "http")]
            opened: Arc::clone(&live.0.opened),
            revocation: live.0.revocation.clone(),
            overload: live.0.overload.clone(),
            refused: Arc::clone(&live.0.refused),
            prepared_streams: Arc::clone(&live.0.prepared_streams),
            workers: Arc::clone(&live.0.workers),
        };
        Self::with(log, (live.0.epoch, clock), settings, shared)
    }

    fn with(
        log: Arc<Log>,
        (epoch, clock): (Epoch, Clock),
        settings: HubBuilder,
        shared: Shared,
    ) -> Self {
        let Shared {
            subjects,
            addresses,
            #[cfg(feature = "http")]
            opened,
            revocation,
            overload,
            refused,
            prepared_streams,
            workers,
        } = shared;
        let delayed = settings.delays.iter().copied().map(DelayedMarket::new);
        Self(Arc::new(Inner {
            complete_until: AtomicI64::new(match settings.delay.is_zero() {
                true => Time::MAX.as_millis(),
                false => 0,
            }),
            delayed: delayed.collect(),
            stop_delayed: OnceLock::new(),
            log,
            lanes: OnceLock::new(),
            sources: Arc::default(),
            wall: WallClockMonitor::new(clock.now()),
            filters: Filters::default(),
            subjects,
            addresses,
            #[cfg(feature = "http")]
            opened,
            revocation,
            prepared_streams,
            overload,
            refused,
            clock,
            epoch,
            #[cfg(feature = "http")]
            answers: crate::answers::Answers::new(settings.max_answer_bytes, Arc::clone(&workers)),
            workers,
            settings,
            local: OnceLock::new(),
            finished: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            not_ready: Mutex::default(),
        }))
    }
}

impl HubBuilder {
    /// Builds the hub: empty and in a new epoch, or with the tape of its folder.
    ///
    /// # Errors
    /// If a setting is out of its range, or if the tape cannot be opened.
    pub fn try_build(self) -> Result<Hub, BuildError> {
        self.check()?;
        #[cfg(feature = "tape")]
        if let Some((folder, options)) = &self.tape {
            let opened = tickcast_tape::open(folder, *options, self.limits)?;
            return Hub::on_disk(opened, self);
        }
        Ok(Hub::new(self))
    }

    /// Builds the hub like [`try_build`](Self::try_build).
    ///
    /// # Panics
    /// If `try_build` returns an error. It cannot if the settings are constants within their ranges
    /// and the tape is in memory.
    #[must_use]
    pub fn build(self) -> Hub {
        self.try_build().unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn settings_out_of_their_range_are_named() {
        let day = Duration::from_secs(86_400);
        let refused = |builder: HubBuilder| builder.try_build().unwrap_err().to_string();
        let zero = refused(Hub::builder().max_lag(Duration::ZERO));
        assert_eq!(zero, "max_lag cannot be 0ns: the range is 1 ms to 1 day");
        let long = refused(Hub::builder().flush_interval(day + Duration::from_secs(1)));
        assert_eq!(
            long,
            "flush_interval cannot be 86401s: the range is 1 ms to 1 day"
        );
        assert_eq!(
            refused(Hub::builder().lanes(0)),
            "lanes cannot be 0: the range is 1 to 256"
        );
        let least = Hub::builder()
            .keep_alive(Duration::from_millis(1))
            .write_timeout(day)
            .lanes(1);
        assert!(least.try_build().is_ok());
    }
}
