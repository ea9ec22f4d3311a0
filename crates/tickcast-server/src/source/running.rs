//! The sources that run, and how they are changed while they do.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tickcast::{Hub, Publisher, SourceState};
use tickcast_feeds::Network;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::spec::Kind;
use super::{SourceSpec, replay, sim, udp};

/// How long a source may be silent unless it says otherwise.
const STALE_AFTER: Duration = Duration::from_secs(15);

/// The sources that run.
pub(crate) struct Running {
    hub: Hub,
    /// One for all: the exchanges' limits are for all that comes from here.
    network: Network,
    stop: CancellationToken,
    tasks: TaskTracker,
    list: Mutex<Vec<Run>>,
}

/// One source; `None`: it is paused.
struct Run {
    spec: SourceSpec,
    task: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

/// What a reload has changed, by names.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// They began anew, with what is wanted of them now.
    pub(crate) changed: Vec<String>,
    pub(crate) unchanged: Vec<String>,
    /// Of all, those that do not run.
    pub(crate) paused: Vec<String>,
}

impl Running {
    /// Starts every source. Each runs until it ends by itself or `stop` is cancelled.
    pub(crate) fn start(
        specs: Vec<SourceSpec>,
        hub: &Hub,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let running = Self {
            hub: hub.clone(),
            network: Network::new(),
            stop: stop.clone(),
            tasks: tasks.clone(),
            list: Mutex::default(),
        };
        let list = specs.into_iter().map(|spec| running.run(spec)).collect();
        *running.list() = list;
        running
    }

    /// Whether some prices are made up.
    pub(crate) fn simulated(&self) -> bool {
        self.list().iter().any(|run| run.spec.is_simulated() && run.task.is_some())
    }

    /// Makes these the sources. Those that are the same as before go on undisturbed.
    pub(crate) async fn change(&self, specs: Vec<SourceSpec>) -> Change {
        let mut before = std::mem::take(&mut *self.list());
        let mut change = Change::default();
        let mut after = Vec::new();
        for spec in specs {
            let name = spec.name.clone();
            if spec.paused {
                change.paused.push(name.clone());
            }
            match before.iter().position(|run| run.spec.name == name).map(|at| before.remove(at)) {
                Some(run) if run.spec == spec => {
                    change.unchanged.push(name);
                    after.push(run);
                }
                Some(run) => {
                    change.changed.push(name);
                    run.end().await;
                    after.push(self.run(spec));
                }
                None => {
                    change.added.push(name);
                    after.push(self.run(spec));
                }
            }
        }
        for run in before {
            let SourceSpec { name, rules, .. } = &run.spec;
            let publisher = self.hub.source(name, *rules);
            change.removed.push(name.clone());
            run.end().await;
            self.forget_troubles(&publisher);
            publisher.set_state(&SourceState::Ended("removed".to_owned()));
            tracing::info!(source = publisher.name(), "source removed");
        }
        *self.list() = after;
        change
    }

    fn run(&self, spec: SourceSpec) -> Run {
        let publisher = self.hub.source(&spec.name, spec.rules);
        let publisher = publisher.stale_after(spec.stale_after.map_or(STALE_AFTER, |silence| silence.0));
        self.forget_troubles(&publisher);
        if spec.paused {
            publisher.set_state(&SourceState::Paused);
            return Run { spec, task: None };
        }
        // An earlier run may have ended otherwise.
        publisher.set_state(&SourceState::Live);
        let stop = self.stop.child_token();
        let (stopped, network, own) = (stop.clone(), self.network.clone(), spec.clone());
        let task = self.tasks.spawn(async move {
            tokio::select! {
                () = run(&own, &publisher, &network) => {}
                () = stopped.cancelled() => {}
            }
        });
        Run { spec, task: Some((stop, task)) }
    }

    /// What an earlier run said of single symbols is over with it.
    fn forget_troubles(&self, publisher: &Publisher) {
        let own = self.hub.sources().into_iter().find(|source| source.name == publisher.name());
        for symbol in own.into_iter().flat_map(|source| source.symbols) {
            publisher.set_symbol_state(symbol.symbol, &SourceState::Live);
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Run>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Ends it, and waits until it has said its last.
    async fn end(self) {
        if let Some((stop, task)) = self.task {
            stop.cancel();
            // A source that panicked has ended, too.
            let _ = task.await;
        }
    }
}

async fn run(spec: &SourceSpec, publisher: &Publisher, network: &Network) {
    let name = publisher.name().to_owned();
    tracing::info!(source = name, "source started");
    let ended = match &spec.kind {
        Kind::Sim { seed, rate } => match sim::run(*seed, *rate, &spec.rename, publisher).await {},
        Kind::Replay { path, pacing, repeat } => {
            replay::file(path, *pacing, *repeat, &spec.rename, publisher)
                .await
                .map_err(|error| error.to_string())
        }
        Kind::Stdin => replay::stdin(&spec.rename, publisher).await.map_err(|error| error.to_string()),
        Kind::Udp(address) => match udp::run(*address, &spec.rename, publisher).await {},
        Kind::Exchange(exchange) => match exchange.feed(&spec.rename, publisher.clone()) {
            Ok(feed) => match feed.run(network).await {},
            Err(error) => Err(error.to_string()),
        },
    };
    match ended {
        Ok(why) => {
            publisher.set_state(&SourceState::Ended(why.clone()));
            tracing::info!(source = name, "source ended: {why}");
        }
        Err(error) => {
            tracing::error!(source = name, "source failed: {error}");
            publisher.set_state(&SourceState::Down(error));
        }
    }
}
