//! Reads a tickcast server's resumable stream, `/v1/stream`, for as long as one likes: it comes back by itself after whatever
//! ended it, goes on where it left, and says where that was not possible.
//!
//! ```no_run
//! # async fn example() -> Result<(), tickcast_client::Error> {
//! use tickcast_client::{Event, Mode, PriceStream};
//!
//! let mut prices = PriceStream::builder("http://127.0.0.1:8080").symbols(["AAPL", "BTC*"]).mode(Mode::All).open()?;
//! loop {
//!     match prices.next().await? {
//!         Event::Tick(tick) => println!("{} {}", tick.symbol, tick.price),
//!         Event::Reset { reason, .. } => println!("there may be a hole: {reason}"),
//!         Event::Disconnected(why) => println!("{why}; it is tried again"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```

mod backoff;
mod event;
mod prices;

pub use event::{Event, Ready, SourceStatus, SymbolStatus, Tick};
pub use prices::{Builder, Error, PriceStream};
pub use tickcast_core::{Cursor, Mode, Price, Symbol, Time};
