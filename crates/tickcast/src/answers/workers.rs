//! Threads for what takes its time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

use super::Cut;

/// How many threads work for answers, reading the disk or comparing names. Those of the runtime are everybody's, and its pool is for
/// looking names up: neither is to wait for what somebody asks for.
const WORKER_THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The threads, started when there is something to do. They end with the hub.
#[derive(Default)]
pub(super) struct Workers(OnceLock<Sender<Job>>);

impl Workers {
    /// Does something in its turn, unless whoever waits for it has left by then.
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
        // Where there is nobody to do it, the result does not come.
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
        // One that panics has been reported, and takes nothing with it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_panics_leaves_the_others_alone() {
        let workers = Workers::default();
        for n in 0..4 {
            let broken = workers.run(|| std::panic::resume_unwind(Box::new(()))).await;
            assert!(matches!(broken.map(|(): ()| ()), Err(Cut::Undone)));
            assert_eq!(workers.run(move || n).await.unwrap(), n);
        }
    }
}
