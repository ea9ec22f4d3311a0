//! Attacks on a running server by clients that reach its public listener and have no token.
//!
//! Each attack has a maximum count and a maximum time, and stops by itself. The program `attack`
//! measures the effect on other clients. The integration tests run some attacks at a small size and
//! check for leaks.

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
pub use process::{Process, ResourceUsage};
