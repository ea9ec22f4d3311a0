//! Threads for slow work: reading the tape on disk, comparing names with patterns, copying the
//! market.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[cfg(feature = "http")]
use tokio::sync::oneshot;

/// Number of worker threads of a hub with all its delayed markets. The lanes and the runtime's threads
/// serve everyone, and the runtime's blocking pool resolves host names, so none of them may wait for
/// slow work. With three threads, two slow reads of a disk still leave one.
const WORKER_THREADS: usize = 3;

type Job = Box<dyn FnOnce() + Send>;

/// The worker threads, started with the first job. They do jobs in order of arrival. A job is one
/// turn of a request, so requests take turns. The threads end with the hub.
#[derive(Default)]
pub(crate) struct Workers(OnceLock<Sender<Job>>);

/// The error for a job that no worker thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no worker thread could do the work")]
pub(crate) struct Undone;

impl Workers {
    /// Makes workers whose jobs the test does, instead of threads.
    #[cfg(test)]
    pub(crate) fn held() -> (Self, Receiver<Job>) {
        let (jobs, received) = channel();
        (Self(jobs.into()), received)
    }

    /// Adds a job.
    ///
    /// # Errors
    /// If no worker thread runs.
    pub(crate) fn add(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Undone> {
        let jobs = self.0.get_or_init(start);
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
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (result, done) = oneshot::channel();
        self.add(move || {
            if !result.is_closed() {
                let _ = result.send(act());
            }
        })?;
        done.await.map_err(|_| Undone)
    }
}

fn start() -> Sender<Job> {
    let (jobs, received) = channel();
    let received = Arc::new(Mutex::new(received));
    for number in 0..WORKER_THREADS {
        let received = Arc::clone(&received);
        let worker = std::thread::Builder::new().name(format!("worker-{number}"));
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
    async fn a_job_that_panics_does_not_affect_other_jobs() {
        let workers = Workers::default();
        for n in 0..4 {
            let broken = workers
                .run(|| std::panic::resume_unwind(Box::new(())))
                .await;
            assert!(matches!(broken.map(|(): ()| ()), Err(Undone)));
            assert_eq!(workers.run(move || n).await.unwrap(), n);
        }
    }
}
