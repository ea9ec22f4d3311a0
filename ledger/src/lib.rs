//! The ledger compares what publishers sent with what readers saw, independently of the server.
//!
//! The book is the final contents of the tape. Entries are the events that one reader saw over all
//! its connections, in order. [`check`] reports the first violated guarantee, and the entry:
//!
//! - **L1** in a stream of every tick, a symbol's numbers have no gap after the first number since
//!   the start or a reset;
//! - **L2** no tick comes twice, unless a reset is between the two;
//! - **L3** positions only increase, unless a reset is between the two;
//! - **L4** a tick is as published, and every acknowledged tick is in the book;
//! - **L5** at the end, every reader has the newest price;
//! - **L6** a reset has a valid reason;
//! - **L8** newest values never go back.
//!
//! L7 (staleness) and L9 (isolation) are different: separate tests and benchmarks check them.

mod check;

pub use check::{Book, Entry, Reader, Rule, Seen, Summary, Violation, check};
