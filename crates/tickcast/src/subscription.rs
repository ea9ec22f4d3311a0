//! Subscriptions: a filter, a rate and a start position.

mod change_limit;
mod edit;
mod prepared_stream;
mod stream_id;

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::sse::EventFormat;
use tickcast_core::{Epoch, Filter, Mode, Position, Resume, ResumeError, Seq, Time, resume};

use crate::access::{Denied, Viewer};
use crate::hub::PreparedFilter;
use crate::rate::Rate;
pub(crate) use change_limit::{ChangeLimit, ChangeTooSoon};
pub(crate) use edit::{Edit, EditError, Effective, RATE_NEEDS_LATEST};
pub(crate) use prepared_stream::{LINGER, MAX_READERS, PreparedStream, ReaderPermit};
pub(crate) use stream_id::StreamId;

/// The valid heartbeat intervals in seconds: the idle time after which a stream receives a
/// keep-alive. A client that asks for less than the minimum has a fault.  Proxies close connections
/// that are silent for longer than the maximum.
pub(crate) const HEARTBEATS: std::ops::RangeInclusive<u8> = 3..=60;

/// The idle time after which a stream receives a keep-alive. The type is one byte, because each
/// stream may have its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat(NonZeroU8);

impl Heartbeat {
    /// Returns a heartbeat every `seconds`, if `seconds` is within [`HEARTBEATS`].
    pub(crate) fn seconds(seconds: u8) -> Option<Self> {
        NonZeroU8::new(seconds)
            .filter(|seconds| HEARTBEATS.contains(&seconds.get()))
            .map(Self)
    }

    /// Returns the interval as a [`Duration`].
    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(self.0.get().into())
    }
}

/// A reader's request: the symbols, the rate and the start. Pass it to
/// [`Hub::subscribe`](crate::Hub::subscribe) or [`Hub::events`](crate::Hub::events). Default: all
/// symbols, with a snapshot and without a maximum rate.
///
/// The stream begins with a snapshot: the newest tick of each selected symbol. Then it contains
/// every tick; a slow consumer receives only the newest tick of each symbol (conflation). Symbols
/// that appear later are included if the filter selects them. A subscription cannot resume at a
/// cursor: the route `/v1/stream` of [`Hub::router`](crate::Hub::router) can.
///
/// ```
/// use tickcast::{Filter, Rate, Subscription};
/// let wanted = Subscription::to(Filter::parse(["AAPL", "BTC*"]).unwrap())
///     .max_rate(Rate::per_second(2.0).unwrap())
///     .without_snapshot();
/// ```
#[derive(Debug, Clone)]
pub struct Subscription {
    pub(crate) filter: Filter,
    /// The filter, prepared for the lanes. With `None`, each lane prepares the filter itself.
    pub(crate) prepared: Option<Arc<PreparedFilter>>,
    pub(crate) rate: Option<Rate>,
    pub(crate) start: Start,
    /// The position of the log when the subscription was requested. A lane must reach this position
    /// before the lane accepts the reader.
    pub(crate) asked_at: Seq,
    pub(crate) format: EventFormat,
    /// The heartbeat of a simple stream. `None` means the default of the lane.
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) session: Option<Box<SessionOptions>>,
    pub(crate) expiry: Expiry,
    /// Who reads.
    pub(crate) viewer: Viewer,
}

/// When the permission of a reader ends, and with it the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    /// By the wall clock, before the hub has started the subscription.
    Wall(Time),
    /// By the uptime clock of the hub.
    Uptime(Duration),
}

/// The options that a resumable stream has beyond a simple stream.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    pub(crate) id: StreamId,
    pub(crate) mode: Mode,
    /// The time without an event after which the stream receives a heartbeat.
    pub(crate) heartbeat: Duration,
    /// The cursor that the reader sent.
    pub(crate) last: Option<Box<str>>,
    /// The reason why the stream cannot resume at that cursor.
    pub(crate) broken: Option<ResumeError>,
    /// The reader's cursor, if only the disk can confirm that the cursor belongs to this tape.
    pub(crate) unverified: Option<Position>,
    /// The viewer within whose permissions the stream may be changed.
    pub(crate) viewer: Viewer,
    /// The prepared stream that the stream follows.
    pub(crate) prepared_stream: Option<Arc<PreparedStream>>,
}

/// The start position of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The newest tick of every wanted symbol first.
    Snapshot,
    /// The ticks after this position.
    After(Seq),
    /// The ticks after this cursor, if the cursor belongs to this tape. If the stream was changed,
    /// its filter must also equal the filter of this subscription.
    Resume(Resume),
    /// The oldest tick of the tape first.
    Oldest,
}

/// The start of a reader that wants only future ticks. [`Subscription::at`] replaces this start
/// with a real position.
const FROM_NOW_ON: Start = Start::After(Seq::new(u64::MAX));

impl Default for Subscription {
    /// Returns a subscription to all symbols, with a snapshot and without a maximum rate.
    fn default() -> Self {
        Self::to(Filter::all())
    }
}

impl Subscription {
    /// Subscribes to the symbols of `filter`: first a snapshot with their newest ticks, then every
    /// tick.
    #[must_use]
    pub const fn to(filter: Filter) -> Self {
        Self {
            filter,
            prepared: None,
            rate: None,
            start: Start::Snapshot,
            asked_at: Seq::ZERO,
            format: EventFormat::Simple,
            heartbeat: None,
            session: None,
            expiry: Expiry::Never,
            viewer: Viewer::UNLIMITED,
        }
    }

    /// Limits the updates of each symbol to `rate`. Of the ticks in between, only the newest is
    /// sent. Default: no limit.
    #[must_use]
    pub const fn max_rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Leaves out the snapshot: sends only ticks that are published from now on. Default: with a
    /// snapshot.
    #[must_use]
    pub const fn without_snapshot(mut self) -> Self {
        self.start = FROM_NOW_ON;
        self
    }

    /// Sets the idle time after which the stream receives a comment.
    pub(crate) const fn heartbeat(mut self, heartbeat: Option<Heartbeat>) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Makes the stream resumable. The log has its head at `head`. The stream continues from the
    /// reader's cursor, if there is a cursor that is valid for this log.
    pub(crate) fn resumable(
        mut self,
        mut session: SessionOptions,
        (epoch, head): (Epoch, Seq),
    ) -> Self {
        self.format = EventFormat::Resumable(epoch, None);
        match session
            .last
            .as_deref()
            .map(|last| resume(last, epoch, head))
        {
            None => {}
            Some(Ok(from)) => self.start = Start::Resume(from),
            Some(Err(broken)) => {
                session.broken = Some(broken);
                self.start = Start::Snapshot;
            }
        }
        self.session = Some(Box::new(session));
        self
    }

    /// Sends only the ticks of the tape, starting with the oldest.
    pub(crate) const fn oldest_first(mut self) -> Self {
        self.start = Start::Oldest;
        self
    }

    /// Takes the current filter and rate of the prepared stream that this subscription follows, if
    /// it follows one. Its ids always name the filter, because the filter may change while the
    /// reader is away.
    pub(crate) fn following_prepared(mut self) -> Self {
        let session = self.session.as_ref();
        let Some(stream) = session.and_then(|own| own.prepared_stream.as_ref()) else {
            return self;
        };
        if let Some(effective) = stream.current() {
            self.format = self.format.with_filter(effective.filter.filter_hash());
            self.rate = effective.rate;
            // The stream may have been changed since the filter was prepared.
            if self.filter != effective.filter {
                self.filter = effective.filter;
                self.prepared = None;
            }
        }
        self
    }

    /// Records that the log has its head at `head`.
    pub(crate) fn at(mut self, head: Seq) -> Self {
        self.asked_at = head;
        if self.start == FROM_NOW_ON {
            self.start = Start::After(head);
        }
        self
    }

    /// Narrows the subscription to what `viewer` may read: patterns to the permitted symbols, the
    /// rate to the permitted rate, and the market to the delayed one, if the viewer is delayed.
    ///
    /// # Errors
    /// If the filter names a symbol that the viewer may not read, or if the stream is for every
    /// tick and the viewer has a maximum rate.
    ///
    /// ```
    /// use tickcast::access::Viewer;
    /// use tickcast::{Filter, Hub, Subscription};
    ///
    /// let viewer = Viewer::of(Filter::parse(["BTC*"]).unwrap());
    /// assert!(Subscription::default().narrowed_to(&viewer).is_ok());
    /// let other = Subscription::to(Filter::parse(["AAPL"]).unwrap());
    /// assert_eq!(other.narrowed_to(&viewer).unwrap_err().to_string(), "you may not read AAPL");
    /// ```
    pub fn narrowed_to(mut self, viewer: &Viewer) -> Result<Self, Denied> {
        let mode = self.session.as_ref().map_or(Mode::Latest, |own| own.mode);
        self.rate = viewer.rate(mode, self.rate)?;
        if let Some(permitted) = viewer.symbols() {
            let wanted = std::mem::replace(&mut self.filter, Filter::none());
            self.filter = wanted.narrowed_to(permitted)?;
            if self.filter != wanted {
                // The ids name the filter, so that a reader that comes back with other permissions
                // receives the symbols that are new to it.
                self.format = self.format.with_filter(self.filter.filter_hash());
            }
        }
        self.viewer = viewer.clone();
        self.expiry = viewer.expiry().map_or(Expiry::Never, Expiry::Wall);
        if let Some(session) = &mut self.session {
            session.viewer = viewer.clone();
        }
        Ok(self)
    }
}
