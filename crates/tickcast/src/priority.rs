//! Which threads run first where there are fewer processors than there is to do.

/// By how much the priority of a thread is lowered: one of usual priority is given ten times as much.
#[cfg(target_os = "linux")]
const LOWER: i32 = 10;

/// Lets all other threads run before the calling one, where the system has priorities for threads: it does what somebody asks for,
/// and has time.
pub(crate) fn lower() {
    // Elsewhere it is the whole process that has a priority.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWER) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
}
