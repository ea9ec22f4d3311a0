//! The running sources, and changes to the sources at run time.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use serde::Serialize;
use tickcast::{Hub, Publisher, SourceState};
use tickcast_feeds::records::RecordsError;
use tickcast_feeds::replay::{self, ReplayReport};
use tickcast_feeds::{Network, udp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SourceSpec;
use super::spec::{Kind, free_name};

/// The manager of the running sources.
pub(crate) struct SourceManager {
    hub: Hub,
    /// One network for all sources, because the exchanges' limits apply to all connections from
    /// this server.
    network: Network,
    stop: CancellationToken,
    tasks: TaskTracker,
    list: Mutex<Vec<RunningSource>>,
}

/// A source. Without a task, the source is paused.
struct RunningSource {
    spec: SourceSpec,
    task: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

/// The names of the sources that a reload has changed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// Sources that started again with their new settings.
    pub(crate) changed: Vec<String>,
    pub(crate) unchanged: Vec<String>,
    /// Sources that do not run, of all sources.
    pub(crate) paused: Vec<String>,
}

impl SourceManager {
    /// Starts every source. Each source runs until its own end, or until `stop` is cancelled.
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

    /// Replaces the sources by `specs`. Sources that are the same as before keep running.
    pub(crate) async fn change(&self, mut specs: Vec<SourceSpec>) -> Change {
        let mut before = std::mem::take(&mut *self.list());
        let mut after: Vec<_> = specs
            .iter_mut()
            .map(|spec| keep(spec, &mut before))
            .collect();
        rename(&mut specs, &after);
        let mut change = Change::default();
        // The old sources end first, because a new source may need a resource of an old source, for
        // example an address.
        let mut ended = Vec::new();
        for run in before {
            let spec = run.spec.clone();
            run.end().await;
            ended.push(spec);
        }
        for (spec, run) in specs.into_iter().zip(&mut after) {
            let name = spec.name.clone();
            if spec.paused {
                change.paused.push(name.clone());
            }
            let old = ended
                .iter()
                .position(|old| old.name == name)
                .map(|at| ended.remove(at));
            match (&run, &old) {
                (Some(_), _) => change.unchanged.push(name),
                (None, Some(_)) => change.changed.push(name),
                (None, None) => change.added.push(name),
            }
            if run.is_none() {
                *run = Some(self.run_after(spec, old));
            }
        }
        for SourceSpec {
            name,
            options: rules,
            ..
        } in ended
        {
            let publisher = self.hub.source(&name, rules);
            self.clear_symbol_states(&publisher);
            publisher.set_state(&SourceState::Ended("removed".to_owned()));
            tracing::info!(source = name, "source removed");
            change.removed.push(name);
        }
        *self.list() = after.into_iter().flatten().collect();
        change
    }

    /// Runs a source in place of an old source with the same name. Symbols that only the old source
    /// listed get the state "ended".
    fn run_after(&self, spec: SourceSpec, old: Option<SourceSpec>) -> RunningSource {
        let mut gone = old.map(|old| old.listed()).unwrap_or_default();
        let listed: HashSet<_> = spec.listed().into_iter().collect();
        gone.retain(|symbol| !listed.contains(symbol));
        let publisher = self.hub.source(&spec.name, spec.options);
        let run = self.run(spec);
        for symbol in gone {
            publisher.set_symbol_state(symbol, &SourceState::Ended("removed".to_owned()));
        }
        run
    }

    fn run(&self, spec: SourceSpec) -> RunningSource {
        let publisher = self.hub.source(&spec.name, spec.options);
        let publisher = publisher
            .stale_after(
                spec.stale_after
                    .map_or(Publisher::DEFAULT_STALE_AFTER, |silence| silence.0),
            )
            .simulated(spec.is_simulated());
        self.clear_symbol_states(&publisher);
        if spec.paused {
            publisher.set_state(&SourceState::Paused);
            return RunningSource { spec, task: None };
        }
        // An earlier run may have left another state.
        publisher.set_state(&SourceState::Live);
        let stop = self.stop.child_token();
        let (stopped, network, own) = (stop.clone(), self.network.clone(), spec.clone());
        let task = self.tasks.spawn(async move {
            let running = AssertUnwindSafe(run(&own, &publisher, &network)).catch_unwind();
            tokio::select! {
                done = running => if done.is_err() {
                    tracing::error!(source = own.name, "source panicked because of a defect; the source sends no more prices");
                    publisher.set_state(&SourceState::Down("the source panicked; see the log".to_owned()));
                },
                () = stopped.cancelled() => {}
            }
        });
        RunningSource {
            spec,
            task: Some((stop, task)),
        }
    }

    /// Clears the states of single symbols that an earlier run has set.
    fn clear_symbol_states(&self, publisher: &Publisher) {
        let own = self
            .hub
            .sources()
            .into_iter()
            .find(|source| source.name == publisher.name());
        for symbol in own.into_iter().flat_map(|source| source.symbols) {
            publisher.set_symbol_state(symbol.symbol, &SourceState::Live);
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<RunningSource>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningSource {
    /// Stops the source and waits until its task has ended.
    async fn end(self) {
        if let Some((stop, task)) = self.task {
            stop.cancel();
            // A source that panicked has ended, too.
            let _ = task.await;
        }
    }
}

/// Returns the running source that continues for `spec`, if there is such a source. The source must
/// be the same as before, but the number in its name may differ.
fn keep(spec: &mut SourceSpec, before: &mut Vec<RunningSource>) -> Option<RunningSource> {
    let same = before.iter().position(|run| run.spec == *spec);
    let at = same.or_else(|| before.iter().position(|run| run.spec.is_like(spec)))?;
    let run = before.remove(at);
    spec.name.clone_from(&run.spec.name);
    Some(run)
}

/// Renames new sources whose names belong to sources that keep running.
fn rename(specs: &mut [SourceSpec], kept: &[Option<RunningSource>]) {
    let mut taken: HashSet<_> = kept
        .iter()
        .flatten()
        .map(|run| run.spec.name.clone())
        .collect();
    let new = specs
        .iter_mut()
        .zip(kept)
        .filter(|(_, kept)| kept.is_none())
        .map(|(spec, _)| spec);
    let (collide, free): (Vec<_>, Vec<_>) = new.partition(|spec| taken.contains(&spec.name));
    taken.extend(free.into_iter().map(|spec| spec.name.clone()));
    for spec in collide {
        spec.name = free_name(&spec.label, &taken);
        taken.insert(spec.name.clone());
    }
}

/// Returns the texts of a replay's end.
fn end_texts(end: Result<ReplayReport, RecordsError>) -> Result<String, String> {
    end.map(|report| report.to_string())
        .map_err(|error| error.to_string())
}

async fn run(spec: &SourceSpec, publisher: &Publisher, network: &Network) {
    let name = publisher.name().to_owned();
    tracing::info!(source = name, "source started");
    let ended = match &spec.kind {
        Kind::Sim(simulation) => {
            match simulation
                .run_renamed(publisher, |symbol| spec.rename.symbol(symbol))
                .await {}
        }
        Kind::Replay(replay) => end_texts(replay.run(&spec.rename, publisher).await),
        Kind::Stdin(layout) => end_texts(replay::stdin(layout, &spec.rename, publisher).await),
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
            publisher.set_state(&SourceState::Down(error.clone()));
            tracing::error!(source = name, "source failed: {error}");
        }
    }
}
