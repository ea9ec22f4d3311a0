//! Attacks on a running server: what anyone who reaches its public listener can do without a token.
//!
//! Each attack is bounded in count and time and stops by itself. The program `attack` measures what everyone else notices of it;
//! the integration tests run some of them at a small size and look at what is left behind.

mod attacker;
mod attacks;
mod bound;
mod http;
mod market;
mod process;

pub use attacker::Attacker;
pub use attacks::{ATTACKS, Attack};
pub use bound::{Load, memory_bound};
pub use http::get;
pub use market::Market;
pub use process::{Process, Standing};
