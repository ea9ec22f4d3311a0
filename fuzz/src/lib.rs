//! The bodies of the fuzz targets: for each parser of outside input, a function that checks what
//! must hold for any bytes.
//!
//! A body panics if a rule is broken. `fuzz/tests/bodies.rs` runs each body over the corpus and over
//! mutations of the corpus, in the normal tests. `fuzz/targets` runs the same bodies under
//! libFuzzer.

mod cursor;
mod exchange;
// A file of the server: see `token`.
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../crates/tickcast-server/src/fetch_site.rs"]
mod fetch_site;
mod filter;
mod http;
mod price;
mod proxy_header;
mod publish;
mod query;
mod records;
mod request_head;
mod symbol;
mod tape;
mod tick;
mod time;
mod token;

pub use cursor::cursor;
pub use exchange::exchange_frame;
pub use filter::filter;
pub use price::price;
pub use proxy_header::proxy_header;
pub use publish::publish;
pub use query::query;
pub use records::records;
pub use request_head::request_head;
pub use symbol::symbol;
pub use tape::{tape_files, tape_footer, tape_segment, tape_snapshot};
pub use tick::tick;
pub use time::time;
pub use token::token;
