//! Starts the lanes of a hub for the first reader, and assigns each new stream to a lane.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::pinning::pin_thread;
use super::{Hub, HubBuilder, Inner, LaneThreads};
use crate::lane::{
    self, BodySink, BodySlot, Command, HandedOffSocket, HistoryReader, Inbox, Lane, LaneHandle,
    NewStream, SocketWriter, StreamLimits, Work,
};
use crate::subscription::Subscription;

/// Size of the system's send buffer for a stream, in bytes: at most the amount in flight to a fast
/// reader that is far away, at least a batch of some hundred ticks. The system doubles the size for
/// its own bookkeeping.
#[cfg(feature = "http")]
const SEND_BUFFER: std::ops::RangeInclusive<usize> = (16 << 10)..=(128 << 10);

impl Hub {
    /// Starts the lanes now, and not with the first stream. A lane of [`LaneThreads::Runtime`] runs
    /// on the runtime of the caller.
    ///
    /// # Panics
    /// If the lanes need a runtime and there is none.
    pub fn start_lanes(&self) {
        self.0.started_lanes();
    }
}

impl Inner {
    /// Opens a stream for an HTTP body.
    pub(crate) fn open_body(&self, subscription: Subscription) -> Arc<BodySlot> {
        let inbox = self.next_lane();
        let slot = BodySlot::new(Arc::clone(&inbox) as Arc<_>);
        inbox.send(Command::Open(
            NewStream::Body(BodySink::new(Arc::clone(&slot))),
            subscription,
        ));
        slot
    }

    /// Opens a stream for a socket.
    pub(crate) fn open_socket(&self, socket: HandedOffSocket, subscription: Subscription) {
        self.next_lane()
            .send(Command::Open(NewStream::Socket(socket), subscription));
    }

    /// Returns the size of the send buffer for a new stream: an even share, within bounds.
    #[cfg(feature = "http")]
    pub(crate) fn send_buffer(&self) -> usize {
        let lanes = self.lanes.get().into_iter().flatten();
        let streams: u64 = lanes.map(|lane| lane.stats.assigned()).sum();
        let streams = usize::try_from(streams).unwrap_or(usize::MAX);
        let share = self.settings.max_send_buffer_bytes / 2 / (streams + 1);
        share.clamp(*SEND_BUFFER.start(), *SEND_BUFFER.end())
    }

    /// Returns the lanes. The first call starts them.
    fn started_lanes(&self) -> &[LaneHandle] {
        self.lanes.get_or_init(|| self.start_lanes())
    }

    /// Returns the lane with the fewest streams and assigns one more stream to it.
    pub(super) fn next_lane(&self) -> Arc<Inbox> {
        let lanes = self.started_lanes();
        match lanes
            .iter()
            .min_by_key(|lane| (lane.inbox.is_closed(), lane.stats.assigned()))
        {
            Some(lane) => {
                lane.stats.assign();
                // A lane that was starting when the hub finished did not receive that command.
                if self.finished.load(Ordering::SeqCst) {
                    lane.inbox.send(Command::Finish);
                }
                Arc::clone(&lane.inbox)
            }
            None => unreachable!("there is at least one lane"),
        }
    }

    /// Starts the lanes: on dedicated threads, or on the runtime of the first reader.
    fn start_lanes(&self) -> Vec<LaneHandle> {
        let HubBuilder {
            stream_limits,
            max_buffered_bytes,
            flush_interval,
            lanes,
            lane_threads,
            io_backend,
            delay,
            ..
        } = self.settings;
        let stream_limits = StreamLimits {
            buffered_bytes: max_buffered_bytes / lanes,
            delay,
            ..stream_limits
        };
        let archive = self.log.archive();
        let history_reader = archive.map(|tape| HistoryReader::new(tape.clone(), &self.workers));
        let update_orders = Arc::default();
        let handles: Vec<_> = (0..lanes)
            .map(|number| {
                let handle = LaneHandle::default();
                let stats = Arc::clone(&handle.stats);
                let lane_stats = Arc::clone(&stats);
                let interest = self.log.interest().of_lane(number);
                let lane = Lane::new(
                    self.log.replica(),
                    stream_limits,
                    lane_stats,
                    SocketWriter::new(io_backend),
                )
                .with_archive(archive.cloned())
                .with_update_orders(&update_orders)
                .with_interest(interest.clone())
                .with_revocation(self.revocation.clone());
                let (log, inbox) = (Arc::clone(&self.log), Arc::clone(&handle.inbox));
                let sources = Arc::clone(&self.sources);
                let (history_reader, clock) = (history_reader.clone(), self.clock);
                let work = Work {
                    flush_due: std::time::Duration::ZERO,
                    lane,
                    log,
                    inbox,
                    interest,
                    stats,
                    sources,
                    history_reader,
                    clock,
                    flush_interval,
                    overload: self.overload.clone(),
                    waiting_streams: Vec::new(),
                    deferred_changes: Vec::new(),
                    rests_until: None,
                    unfinished_flush: None,
                };
                match lane_threads {
                    LaneThreads::Runtime => drop(tokio::spawn(lane::run(work))),
                    LaneThreads::Own => start_thread(number, false, work),
                    // The lanes of delayed markets would share the cores of these.
                    LaneThreads::Pinned => start_thread(number, delay.is_zero(), work),
                }
                handle
            })
            .collect();
        let doorbells: Vec<_> = handles
            .iter()
            .map(|lane| Arc::clone(lane.inbox.doorbell()))
            .collect();
        self.log.set_wakers(doorbells.clone());
        self.sources.set_wakers(doorbells);
        handles
    }
}

/// Runs a lane on a thread of its own, so that its long flushes do not delay other tasks.
fn start_thread(number: usize, pinned: bool, work: Work) {
    let inbox = Arc::clone(&work.inbox);
    let run = move || {
        if pinned {
            pin_thread(number);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(lane::run(work)),
            Err(error) => {
                tracing::error!(%error, "the runtime of a lane failed to start; the lane is closed");
                work.inbox.close();
            }
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name(format!("lane-{number}"))
        .spawn(run)
    {
        tracing::error!(%error, "the thread of a lane failed to start; the lane is closed");
        inbox.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for lane in self.lanes.get().into_iter().flatten() {
            lane.inbox.send(Command::Quit);
        }
    }
}
