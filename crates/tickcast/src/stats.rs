//! Statistics of a hub, of its sources and of its feeds, as plain numbers.

mod counters;
mod delays;
mod feed;
mod refused;

use std::time::Duration;

use tickcast_core::{Cursor, Mode, Symbol, Time};

pub(crate) use counters::{LaneStats, OutcomeCounts, SourceCounters};
pub use delays::Delays;
pub use feed::{FeedEventKind, FeedStats};
pub use refused::RefusedStream;
pub(crate) use refused::RefusedStreams;

use crate::overload::OverloadStep;
use crate::source_state::SourceState;

/// The statistics of a hub. Returned by [`Hub::stats`](crate::Hub::stats). Counters count since the
/// start of the hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubStats {
    /// Number of open streams.
    pub streams: u64,
    /// Size of the data that streams buffer for their readers, in bytes.
    pub buffered_bytes: u64,
    /// Number of ticks written to streams. A tick counts once for each stream.
    pub ticks_delivered: u64,
    /// Number of bytes of events and comments that were passed to streams.
    pub bytes_sent: u64,
    /// The cursor of the newest entry on the tape.
    pub cursor: Cursor,
    /// Number of symbols ever seen, including removed symbols.
    pub symbols: usize,
    /// Number of closed candles in memory, of all symbols.
    pub candles: usize,
    /// The statistics of the filters of all streams.
    pub filters: FilterStats,
    /// Number of prepared streams.
    pub prepared_streams: usize,
    /// Whether published ticks can be stored. They cannot while the disk is full, or after the tape
    /// has failed.
    pub can_publish: bool,
    /// Number of wall clock jumps of more than [`Limits::max_skew`](crate::Limits::max_skew).
    pub clock_jumps: u64,
    /// The last step that the hub takes against overload.
    pub overload: OverloadStep,
    /// Number of streams that were told to come back later, by reason.
    pub streams_refused: Vec<(RefusedStream, u64)>,
    /// Number of stalled streams that were closed because of overload.
    pub streams_shed: u64,
    /// Number of ticks on the tape.
    pub tape_ticks: usize,
    /// Size of the tape, in bytes.
    pub tape_bytes: usize,
    /// The statistics of the tape on disk. `None` if the tape is only in memory.
    pub disk: Option<DiskStats>,
    /// Number of answers in progress that are not streams.
    pub answers: AnswerStats,
    /// Delays of ticks from their arrival at the hub until a lane had passed them on to its
    /// streams.
    pub delays: Delays,
    /// The statistics of each source, in order of registration.
    pub sources: Vec<SourceStats>,
}

impl HubStats {
    /// Checks whether some prices are simulated: a source of simulated prices runs.
    #[must_use]
    pub fn simulated(&self) -> bool {
        simulated(&self.sources)
    }
}

/// Checks whether a source of simulated prices runs.
pub(crate) fn simulated(sources: &[SourceStats]) -> bool {
    let ended = |state: &SourceState| matches!(state, SourceState::Paused | SourceState::Ended(_));
    sources
        .iter()
        .any(|source| source.simulated && !ended(&source.state))
}

/// An open stream. Returned by [`Hub::streams`](crate::Hub::streams).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The name of a resumable stream, as in `ready`. It is a secret: whoever knows it may change the
    /// stream.
    pub id: Option<String>,
    /// The subject of the viewer, if it has one.
    pub subject: Option<String>,
    /// Whether the stream follows a prepared stream.
    pub prepared: bool,
    /// What a resumable stream is sent. `None`: the stream is a simple one.
    pub mode: Option<Mode>,
    /// Maximum number of updates of each symbol in a second, if there is one.
    pub rate: Option<f64>,
    /// Number of ticks that the stream has not been sent or skipped yet. `None`: it is being sent
    /// its snapshot.
    pub behind: Option<u64>,
    /// How long the reader has accepted nothing although there is something to send.
    pub stalled: Duration,
    /// How far the market of the stream is behind the live one.
    pub delay: Duration,
}

/// The statistics of the filters of all streams. Field of [`HubStats`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct FilterStats {
    /// Number of patterns in use.
    pub patterns: u64,
    /// Upper bound of the memory that the filters use now, in bytes. Its limit is
    /// [`HubBuilder::max_filter_bytes`](crate::HubBuilder::max_filter_bytes).
    pub bytes: u64,
    /// Number of streams and changes that were refused because there was no room.
    pub refused: u64,
}

/// The statistics of a tape on disk. Field of [`HubStats`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DiskStats {
    /// Number of ticks on the tape.
    pub ticks: u64,
    /// Size of the tape, in bytes.
    pub bytes: u64,
    /// Number of files of the tape of which a part was found to be damaged since the start. Exports
    /// and streams that need this part end with an error.
    pub damaged_files: u64,
}

/// The numbers of answers in progress and of refused requests. Field of [`HubStats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AnswerStats {
    /// Number of exports: `GET /v1/ticks/{symbol}`.
    pub exports: u64,
    /// Number of other answers that are larger than 64 KiB, or for which many names have to be
    /// compared.
    pub wide: u64,
    /// Number of requests that were refused because there were too many answers of either kind.
    pub refused: u64,
}

/// The statistics of a source. Returned by [`Hub::sources`](crate::Hub::sources), and field of
/// [`HubStats`]. Counters count since the start of the hub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceStats {
    /// The name of the source.
    pub name: String,
    /// The state of the source.
    pub state: SourceState,
    /// Number of accepted ticks.
    pub accepted: u64,
    /// Number of ticks that were older than the newest tick of their symbol.
    pub late: u64,
    /// Number of unchanged ticks, which repeated the newest tick of their symbol.
    pub unchanged: u64,
    /// Number of ticks that were rejected: with a [`TickError`](crate::error::TickError), or by
    /// [`FeedReporter::reject`](crate::FeedReporter::reject).
    pub rejected: u64,
    /// Start time of the current state.
    pub since: Time,
    /// Symbols of the source with a state of their own that is neither live nor ended.
    pub symbols: Vec<SymbolStats>,
    /// Whether the prices of the source are simulated.
    pub simulated: bool,
    /// The event counters of the feed.
    pub feed: FeedStats,
}

/// The state of a symbol that differs from the state of its source. Field of [`SourceStats`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SymbolStats {
    /// The symbol.
    pub symbol: Symbol,
    /// The state of the symbol.
    pub state: SourceState,
    /// Start time of the current state.
    pub since: Time,
}
