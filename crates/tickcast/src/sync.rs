//! The atomics and locks of the parts that have a model. The models of the crate `tickcast-models`
//! replace them, to run the threads in every order.

pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}
