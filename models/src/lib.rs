//! Models of the parts of tickcast that work without a lock. The code is that of the library, with
//! the atomics of `shuttle`, which runs the threads of a model in very many orders.
//!
//! `shuttle` tries interleavings, not the freedom that a processor has to order memory accesses.
//! The library uses one order for the accesses that a model is about (`SeqCst`), so the
//! interleavings are all there is.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed model")]

/// The atomics and locks of the library.
mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) mod atomic {
        pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    }
}

#[path = "../../crates/tickcast/src/interest.rs"]
#[expect(dead_code, reason = "the library has more uses of it")]
mod interest;

#[path = "../../crates/tickcast/src/source_state.rs"]
#[expect(dead_code, reason = "the library has more uses of it")]
#[expect(unreachable_pub, reason = "the library has it in its API")]
mod source_state;

#[path = "../../crates/tickcast/src/sources.rs"]
#[expect(dead_code, reason = "the library has more uses of it")]
#[expect(unexpected_cfgs, reason = "the library has more features")]
mod sources;

mod doorbell;
mod stats;

pub mod staleness;
pub mod waking;
