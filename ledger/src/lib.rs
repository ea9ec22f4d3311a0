//! The ledger: what publishers sent and readers saw, held against each other by someone who does not trust the server.
//!
//! The book is what is on the tape in the end; entries are what one reader saw over all its connections, in order. [`check`] says
//! which of the promises is broken first, and where:
//!
//! - **L1** with every tick, a symbol's numbers have no hole after the first one since the beginning, or a reset;
//! - **L2** no tick comes twice, unless a reset lies between;
//! - **L3** places only grow, unless a reset lies between;
//! - **L4** a tick is what was published, and what was acknowledged is in the book;
//! - **L5** in the end every reader holds the newest price;
//! - **L6** a reset has a reason that can be;
//! - **L8** newest values never go back.
//!
//! (L7, staleness, and L9, isolation, are of another kind: tests and benchmarks of their own see to them.)

mod check;

pub use check::{Book, Entry, Reader, Rule, Seen, Summary, Violation, check};
