//! The core of tickcast. The core does no IO, reads no clock and needs no async runtime: time is an
//! argument.
//!
//! A reader is only a [`Cursor`]: a position in the order of all ticks. The [`Sequencer`] gives
//! every tick its sequence number. The [`Market`] holds the newest tick of every symbol, and the
//! sequence number of that tick. The [`Tape`] (the in-memory log) holds the last ticks in order.
//! From these three, [`sse::render`] computes the bytes that must still be sent to a reader at a
//! [`Cursor`]:
//!
//! ```
//! use tickcast_core::{Filter, Now, Limits, Epoch, SourceId, SourceOptions, Selection, Seq, Sequencer, Tick, Time};
//! use tickcast_core::sse::{EventFormat, render};
//!
//! let mut log = Sequencer::new(Epoch::new(7), Limits::default());
//! let now = Now { wall: Time::from_millis(1_782_907_200_000).unwrap(), uptime: std::time::Duration::ZERO };
//! for line in [r#"{"symbol":"AAPL","price":189.25}"#, r#"{"symbol":"AAPL","price":189.50}"#] {
//!     log.accept(&Tick::from_json(line.as_bytes()).unwrap(), SourceId::default(), SourceOptions::default(), now).unwrap();
//! }
//!
//! let everything = Selection::new(Filter::all(), log.market());
//! let mut out = Vec::new();
//! render::conflated((log.market(), log.tape(), None), &everything, (Seq::ZERO, log.cursor().seq()), EventFormat::Simple, usize::MAX, &mut out);
//! assert_eq!(
//!     String::from_utf8(out).unwrap(),
//!     "event: tick\ndata: {\"symbol\":\"AAPL\",\"price\":189.50,\"change\":0.25,\"change_pct\":0.1321,\
//!      \"time\":1782907200000,\"n\":2}\nid: AAPL\n\n"
//! );
//! ```

mod backoff;
mod candle;
mod charts;
mod cursor;
mod excerpt;
mod filter;
mod instant;
mod keys;
mod limits;
mod mark;
mod market;
mod names;
mod new_closes;
mod price;
mod quote;
mod replica;
mod resume;
mod sequencer;
mod source_id;
pub mod sse;
mod status;
mod symbol;
mod symbol_id;
mod tape;
mod tick;

pub use backoff::Backoff;
pub use candle::{Candle, Candles, Interval, IntervalError};
pub use cursor::{Check, Cursor, CursorError, Digest, Epoch, EventId, FilterHash, Position, Seq};
pub use filter::{
    Filter, FilterError, MAX_FILTER_ENTRIES, MAX_FILTER_PATTERNS, Matcher, NotAllowed, Selection,
    SymbolSet,
};
pub use instant::{Now, Time, TimeError, TimeTextError};
pub use keys::{KEY_RETENTION, KeyProgress, KeyState, Keys, MAX_KEY_BYTES, MAX_KEYS};
pub use limits::{Limits, SourceOptions};
pub use mark::Mark;
pub use market::Market;
pub use names::Names;
pub use price::{MAX_DIGITS, Price, PriceError};
pub use quote::{Quote, Reference, SymbolSnapshot};
pub use replica::{Replica, TooFarBehind};
pub use resume::{Mode, Resume, ResumeError, resume};
pub use sequencer::{Followed, Outcome, Recorded, Restore, Sequenced, Sequencer};
pub use source_id::SourceId;
pub use sse::{Frame, Notice, TickView};
pub use status::{CloseReason, SourceStatus, State};
pub use symbol::{MAX_SYMBOL_LEN, Symbol, SymbolError};
pub use symbol_id::SymbolId;
pub use tape::{Entry, EntryKind, Run, Tape};
pub use tick::{
    ChangeBasis, Extras, MAX_EXTRAS, MAX_EXTRAS_BYTES, MAX_ITEM_BYTES, PublishedTick, RESERVED,
    RawTick, Rejected, Tick, TickError, TickFields, TickSplitter, Value,
};
