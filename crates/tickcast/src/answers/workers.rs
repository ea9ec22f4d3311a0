//! Worker threads for slow jobs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

use super::Cut;

/// Number of worker threads for answers. The threads read the disk or compare names with patterns.
/// The runtime's threads serve all tasks, and the runtime's blocking pool resolves host names, so
/// neither may wait for a slow request.
const WORKER_THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The worker threads, started with the first job. The threads end with the hub.
#[derive(Default)]
pub(super) struct Workers(OnceLock<Sender<Job>>);

impl Workers {
    /// Runs a job in order of arrival, unless the caller has stopped waiting by then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Cut> {
        let (result, done) = oneshot::channel();
        let job = move || {
            if !result.is_closed() {
                let _ = result.send(act());
            }
        };
        // If no worker thread runs, the result channel closes.
        let _ = self.0.get_or_init(start).send(Box::new(job));
        done.await.map_err(|_| Cut::Undone)
    }
}

fn start() -> Sender<Job> {
    let (jobs, desk) = channel();
    let desk = Arc::new(Mutex::new(desk));
    for number in 0..WORKER_THREADS {
        let desk = Arc::clone(&desk);
        let worker = std::thread::Builder::new().name(format!("answers-{number}"));
        if let Err(error) = worker.spawn(move || work(&desk)) {
            tracing::error!(%error, "a thread for exports and patterns cannot be started");
        }
    }
    jobs
}

fn work(desk: &Mutex<Receiver<Job>>) {
    let next = || desk.lock().unwrap_or_else(PoisonError::into_inner).recv();
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
            assert!(matches!(broken.map(|(): ()| ()), Err(Cut::Undone)));
            assert_eq!(workers.run(move || n).await.unwrap(), n);
        }
    }
}
