//! Threads for slow work: reading the tape on disk, comparing names with patterns, copying the
//! market.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[cfg(feature = "http")]
use tokio::sync::oneshot;

/// What a job needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// It reads the disk, which may be slow, or not answer at all.
    Disk,
    /// It needs only memory. It does not wait behind a slow disk.
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "only answers need it")
    )]
    Memory,
}

/// Number of threads of a hub with all its delayed markets that read the disk, and of those that
/// work in memory. The lanes and the runtime's threads serve everyone, and the runtime's blocking
/// pool resolves host names, so none of them may wait for slow work.
const DISK_THREADS: usize = 2;
const MEMORY_THREADS: usize = 1;

type Job = Box<dyn FnOnce() + Send>;

/// The worker threads, started with the first job of their kind. They do jobs in order of arrival. A
/// job is one turn of a request, so requests take turns. The threads end with the hub.
#[derive(Default)]
pub(crate) struct Workers {
    disk: OnceLock<Sender<Job>>,
    memory: OnceLock<Sender<Job>>,
}

/// The error for a job that no worker thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no worker thread could do the work")]
pub(crate) struct Undone;

impl Workers {
    /// Makes workers whose jobs with the disk the test does, instead of threads.
    #[cfg(test)]
    pub(crate) fn held() -> (Self, Receiver<Job>) {
        let (jobs, received) = channel();
        let workers = Self {
            disk: jobs.into(),
            ..Self::default()
        };
        (workers, received)
    }

    /// Adds a job.
    ///
    /// # Errors
    /// If no worker thread runs.
    pub(crate) fn add(
        &self,
        what: Work,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Undone> {
        let (jobs, name, threads) = match what {
            Work::Disk => (&self.disk, "disk", DISK_THREADS),
            Work::Memory => (&self.memory, "worker", MEMORY_THREADS),
        };
        let jobs = jobs.get_or_init(|| start(name, threads));
        jobs.send(Box::new(job)).map_err(|_| Undone)
    }

    /// Runs a job and waits for its result. The job is left out if the caller has stopped waiting by
    /// then.
    ///
    /// # Errors
    /// If no worker thread runs, or if the job panics.
    #[cfg(feature = "http")]
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: Work,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (result, done) = oneshot::channel();
        self.add(what, move || {
            if !result.is_closed() {
                let _ = result.send(act());
            }
        })?;
        done.await.map_err(|_| Undone)
    }
}

fn start(name: &str, threads: usize) -> Sender<Job> {
    let (jobs, received) = channel();
    let received = Arc::new(Mutex::new(received));
    for number in 0..threads {
        let received = Arc::clone(&received);
        let worker = std::thread::Builder::new().name(format!("{name}-{number}"));
        if let Err(error) = worker.spawn(move || work(&received)) {
            tracing::error!(%error, "a worker thread failed to start; reading the disk and comparing patterns take longer");
        }
    }
    jobs
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        // A panic was already reported. The panic must not end the thread.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_memory_does_not_wait_for_the_disk() {
        let workers = Workers::default();
        let (hold, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..10 {
            let held = Arc::clone(&held);
            let wait = move || _ = held.lock().map(|held| held.recv());
            workers.add(Work::Disk, wait).unwrap();
        }
        assert_eq!(workers.run(Work::Memory, || 1).await.unwrap(), 1);
        drop(hold);
        assert_eq!(workers.run(Work::Disk, || 2).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_job_that_panics_does_not_affect_other_jobs() {
        let workers = Workers::default();
        for n in 0..4 {
            let broken = workers
                .run(Work::Memory, || std::panic::resume_unwind(Box::new(())))
                .await;
            assert!(matches!(broken.map(|(): ()| ()), Err(Undone)));
            assert_eq!(workers.run(Work::Memory, move || n).await.unwrap(), n);
        }
    }
}
