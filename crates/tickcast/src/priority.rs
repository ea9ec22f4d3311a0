//! Thread priorities, for systems with more work than processors.

/// Amount by which the priority of a thread is lowered. A thread of normal priority then gets ten
/// times as much processor time.
#[cfg(target_os = "linux")]
const LOWER: i32 = 10;

/// Lowers the priority of the calling thread, if the system has priorities for threads. All other
/// threads then run first, because the work of this thread is requested by a client and is not
/// urgent.
pub(crate) fn lower() {
    // On other systems, only the whole process has a priority.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWER) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
}
