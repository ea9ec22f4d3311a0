//! Client for the resumable stream of a tickcast server, `/v1/stream`. After the end of a
//! connection, the client connects again and continues at its cursor. If the stream cannot continue
//! there, the client reports a reset.
//!
//! ```no_run
//! # async fn example() -> Result<(), tickcast_client::Error> {
//! use tickcast_client::{Event, Mode, PriceStream};
//!
//! let mut prices = PriceStream::builder("http://127.0.0.1:8080").symbols(["AAPL", "BTC*"]).mode(Mode::All).try_build()?;
//! loop {
//!     match prices.next().await? {
//!         Event::Tick(tick) => println!("{} {}", tick.symbol, tick.price),
//!         Event::Reset { reason, .. } => println!("ticks may be missing: {reason}"),
//!         Event::Disconnected(why) => println!("{why}; the client reconnects"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```

mod event;
mod prices;

pub use event::{Event, Ready, SourceStatus, SymbolStatus};
pub use prices::{Error, PriceStream, PriceStreamBuilder};
pub use tickcast_core::{Cursor, Mode, Price, PublishedTick, Symbol, Time};
