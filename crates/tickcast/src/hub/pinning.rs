//! Pins lanes to cores.

/// Keeps the calling thread on the core with this number among those that it may use. If there are
/// fewer cores, the numbers start again.
#[cfg(target_os = "linux")]
pub(super) fn pin_thread(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let pinned = sched_getaffinity(None).and_then(|allowed| {
        let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let mut cores = cores.collect::<Vec<_>>().into_iter().cycle();
        let mut own = CpuSet::new();
        cores.nth(number).into_iter().for_each(|core| own.set(core));
        sched_setaffinity(None, &own)
    });
    if let Err(error) = pinned {
        tracing::warn!(%error, "lane {number} cannot be pinned to a core");
    }
}

/// Does nothing: only Linux pins threads.
#[cfg(not(target_os = "linux"))]
pub(super) fn pin_thread(_: usize) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::sched_getaffinity;

    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core() {
        let pinned = |number| {
            let thread = std::thread::spawn(move || {
                pin_thread(number);
                sched_getaffinity(None).unwrap()
            });
            thread.join().unwrap()
        };
        let cores = sched_getaffinity(None).unwrap().count() as usize;
        assert_eq!(pinned(0).count(), 1);
        assert_eq!(pinned(0), pinned(cores));
    }
}
