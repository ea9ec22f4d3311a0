//! Where ticks come from.

mod records;
mod replay;
mod sim;
mod spec;

use tickcast::{Hub, Publisher, SourceState};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use records::{Records, RecordsError, Taker};
use spec::Kind;
pub(crate) use spec::{SOURCE_KEYS, SourceSpec, SourceTable, SpecError};

/// Starts every source. Each runs until it ends by itself or `stop` is cancelled.
pub(crate) fn start(specs: Vec<SourceSpec>, hub: &Hub, stop: &CancellationToken, tasks: &TaskTracker) {
    for spec in specs {
        let mut publisher = hub.source(&spec.name, spec.rules);
        if let Some(silence) = spec.stale_after {
            publisher = publisher.stale_after(silence.0);
        }
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = run(&spec, &publisher) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn run(spec: &SourceSpec, publisher: &Publisher) {
    let name = publisher.name().to_owned();
    tracing::info!(source = name, "source started");
    let ended = match &spec.kind {
        Kind::Sim { seed, rate } => match sim::run(*seed, *rate, &spec.rename, publisher).await {},
        Kind::Replay { path, pacing, repeat } => {
            replay::file(path, *pacing, *repeat, &spec.rename, publisher).await
        }
        Kind::Stdin => replay::stdin(&spec.rename, publisher).await,
    };
    match ended {
        Ok(why) => {
            publisher.set_state(&SourceState::Ended(why.clone()));
            tracing::info!(source = name, "source ended: {why}");
        }
        Err(error) => {
            publisher.set_state(&SourceState::Down(error.to_string()));
            tracing::error!(source = name, "source failed: {error}");
        }
    }
}
