//! Streams live prices to browsers, terminals and programs as plain Server-Sent Events.
//!
//! Each reader is a cursor on the tape, the in-memory log of ticks. A reader has no queue of its own. A
//! reader that keeps up receives every tick. When a slow consumer can accept bytes again, the consumer
//! receives the newest tick of each symbol that changed (conflation).
//!
//! - [`routes`] turns a broadcast channel of [`PriceTick`]s into `GET /prices/stream`, in one line.
//! - [`Hub`] adds a market with snapshots, filters, rates and exact decimals, for your own Axum application.
//! - [`serve`] runs such an application.

/// The examples of the guide, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;

mod answers;
mod clock;
mod doorbell;
mod events;
mod http;
mod hub;
mod lane;
mod log;
mod priority;
mod publisher;
mod reader;
mod routes;
mod serve;
mod source_state;
mod sources;
mod stats;
mod subscription;

pub use events::Events;
pub use http::{NoParameters, Problem, openapi};
pub use hub::{BuildError, Hub, HubBuilder};
pub use lane::IoBackend;
pub use publisher::{FeedReporter, Publisher};
pub use reader::Reader;
pub use routes::{PriceTick, routes};
pub use serve::{Serve, serve};
pub use source_state::SourceState;
pub use stats::{
    AnswerStats, Delays, DiskStats, FeedEventKind, FeedStats, FilterStats, HubStats, SourceStats, SymbolStats,
};
pub use subscription::{Rate, RateError, Subscription};
pub use tickcast_core::{
    ChangeBasis, Cursor, Epoch, Extras, Filter, FilterError, Limits, MAX_ITEM_BYTES, Outcome, Price,
    PriceError, PublishedTick, RESERVED, RawTick, Rejected, Seq, SourceOptions, Symbol, SymbolError, Tick,
    TickError, TickFields, TickSplitter, Time, TimeError, TimeTextError, Value,
};
pub use tickcast_tape::{AppendError, OpenError, Options as TapeOptions, Sync as TapeSync};
