//! Streams live prices to browsers, terminals and programs as plain Server-Sent Events.
//!
//! Each reader is a cursor on the tape, the in-memory log of ticks. A reader has no queue of its
//! own. A reader that keeps up receives every tick. When a slow consumer can accept bytes again,
//! the consumer receives the newest tick of each symbol that changed (conflation).
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tickcast::{Hub, Tick};
//!
//! let hub = Hub::builder().build();
//! hub.try_publish(&Tick::from_json(br#"{"symbol":"AAPL","price":189.50}"#)?)?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! tickcast::serve(listener, hub.router()).await;
//! # Ok(()) }
//! ```
//!
//! | I want to … | → use |
//! |---|---|
//! | stream a `broadcast` channel that I already have | [`routes`] |
//! | stream prices with snapshots, filters, rates and resume | [`Hub::router`] |
//! | publish prices from my code | [`Hub::publish`], [`Publisher::publish`] |
//! | publish several sources, each with its own state and counters | [`Hub::source`] |
//! | receive prices over HTTP | [`Publisher::router`] |
//! | read prices in the same program | [`Hub::subscribe`] |
//! | send a stream from a handler of my own | [`Hub::events`] |
//! | serve many thousand streams | [`serve()`] |
//! | check who may read or publish | a layer of your own with an [`access::Viewer`] or an `access::Grant`, as in `examples/auth.rs` |
//! | keep the tape on disk | `HubBuilder::tape`, with the feature `tape` |
//! | stop without losing a reader | [`Hub::drain`], [`Hub::close`] |
//! | watch what the hub does | [`Hub::stats`], [`Hub::health_router`] |
//! | parse what publishers send | [`Tick::from_json`], [`tick::TickSplitter`] |
//!
//! Features: `http` (the routes and [`serve()`]; default), `direct` (streams over TCP leave the
//! HTTP server, on Linux; default), `http2`, `tape` (the tape on disk), `openapi` (the routes as a
//! document).
//!
//! Exchange feeds, files and datagrams as sources are in the crate `tickcast-feeds`, a simulated
//! market in `tickcast-sim`, and a client of the resumable stream in `tickcast-client`.

#![cfg_attr(
    not(all(feature = "http", feature = "tape", feature = "openapi")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the text names what other features add"
    )
)]
#![cfg_attr(
    not(feature = "http"),
    allow(dead_code, unused_imports, reason = "some parts serve only the routes")
)]

/// The examples of the guide, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;

pub mod access;
#[cfg(feature = "http")]
mod answers;
mod clock;
mod disk;
mod doorbell;
mod events;
#[cfg(feature = "http")]
pub mod http;
mod hub;
mod interest;
mod lane;
mod log;
mod overload;
mod priority;
mod publisher;
mod rate;
mod reader;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
pub mod serve;
#[cfg(feature = "http")]
mod source_name;
mod source_state;
mod sources;
pub mod stats;
mod subscription;
mod sync;
mod workers;

pub use events::Events;
pub use hub::{Hub, HubBuilder, LaneThreads};
pub use lane::IoBackend;
pub use overload::OverloadStep;
pub use publisher::{FeedReporter, Publisher};
pub use rate::Rate;
pub use reader::Reader;
#[cfg(feature = "http")]
pub use routes::{PriceTick, routes};
#[cfg(feature = "http")]
pub use serve::serve;
pub use source_state::SourceState;
pub use subscription::Subscription;
pub use tickcast_core::{
    Filter, Limits, Outcome, Price, PublishedTick, SourceOptions, Symbol, Tick, Time,
};

pub mod cursor {
    //! Positions in the order of all ticks.

    pub use tickcast_core::{Cursor, Epoch, Seq};
}

pub mod error {
    //! The errors of the library. Each says what is wrong, and names the limit.

    pub use crate::access::Denied;
    pub use crate::hub::BuildError;
    pub use crate::rate::RateError;
    #[cfg(feature = "http")]
    pub use crate::source_name::SourceNameError;
    pub use tickcast_core::{
        FilterError, NotAllowed, PriceError, SymbolError, TickError, TimeError, TimeTextError,
    };
}

#[cfg(feature = "tape")]
pub mod tape {
    //! The tape on disk: its options and its errors. See
    //! [`HubBuilder::tape`](crate::HubBuilder::tape).

    pub use tickcast_tape::{AppendError, OpenError, Options, Sync};
}

pub mod tick {
    //! The parts of a tick, and parsing what publishers send.

    pub use tickcast_core::{
        ChangeBasis, Extras, MAX_ITEM_BYTES, RESERVED, RawTick, Rejected, TickFields, TickSplitter,
        Value,
    };
}
