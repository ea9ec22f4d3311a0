//! Load generator for servers of live prices: the engine of `tickcast bench`. The generator
//! publishes ticks when they are due, reads many streams in one thread, and measures when the ticks
//! arrive.
//!
//! The functions of this crate block. The generator uses one thread for the streams and one for
//! publishing.
//!
//! ```no_run
//! use tickcast_bench::{Options, run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options {
//!     token: Some("a-secret".to_owned()),
//!     streams: 200,
//!     rate: 500.0,
//!     ..Options::new("http://127.0.0.1:8080".parse()?)
//! };
//! println!("{}", run(&options)?);
//! # Ok(())
//! # }
//! ```

mod churn;
mod error;
mod load;
mod options;
mod publisher;
mod readers;
mod report;
mod run;
mod usage;
mod wire;

pub use error::BenchError;
pub use options::{Measure, Options};
pub use report::{Churn, Flood, Quantiles, Report, ServerUse, Streams};
pub use run::run;
/// The address of a server, for example `"http://127.0.0.1:8080".parse()`. Pass it to
/// [`Options::new`]. Its scheme must be `http`; a path before the routes of the server is allowed.
///
/// This type comes from the crate `url`. Its own documentation follows.
///
/// ---
pub use url::Url;
