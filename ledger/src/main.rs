//! `ledger run` runs a server that is killed and readers that are disconnected, and checks their
//! ledger. `ledger check` checks the ledger of an earlier run.

mod clock;
mod files;
mod publisher;
mod reader;
mod resetter;
mod run;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use run::Plan;

fn main() -> ExitCode {
    match run_command(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(arguments: &[String]) -> Result<()> {
    match arguments.first().map(String::as_str) {
        Some("check") => {
            let folder = arguments.get(1).context("check takes a folder")?;
            let (book, readers) = files::read(Path::new(folder))?;
            report(&book, &readers, None)
        }
        Some("run") => {
            let mut plan = Plan::default();
            let mut keep = None;
            let mut rest = arguments[1..].iter();
            while let Some(name) = rest.next() {
                let value = rest
                    .next()
                    .with_context(|| format!("{name} takes a value"))?;
                match name.as_str() {
                    "--program" => plan.program = PathBuf::from(value),
                    "--seconds" => plan.seconds = value.parse()?,
                    "--readers" => plan.readers = value.parse()?,
                    "--resetters" => plan.resetters = value.parse()?,
                    "--faketime" => plan.faketime = Some(PathBuf::from(value)),
                    "--tls" => plan.tls = value.parse()?,
                    "--seed" => plan.seed = value.parse()?,
                    "--keep" => keep = Some(PathBuf::from(value)),
                    _ => bail!("{name} is unknown"),
                }
            }
            let seed = plan.seed;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let (book, readers, faults) = runtime
                .block_on(run::run(plan))
                .with_context(|| format!("seed {seed}"))?;
            if let Some(folder) = &keep {
                files::write(folder, &book, &readers)?;
            }
            report(&book, &readers, Some(seed))?;
            println!(
                "seed {seed}: {} connections reset, {} jumps of the clock noticed",
                faults.resets, faults.clock_jumps
            );
            Ok(())
        }
        _ => bail!(
            "usage: ledger run [--program FILE] [--seconds N] [--readers N] [--resetters N] [--tls BOOL] [--faketime LIBRARY] [--seed N] \
             [--keep DIR] | ledger check DIR"
        ),
    }
}

fn report(book: &ledger::Book, readers: &[ledger::Reader], seed: Option<u64>) -> Result<()> {
    let seed = seed
        .map(|seed| format!("seed {seed}: "))
        .unwrap_or_default();
    match ledger::check(book, readers) {
        Ok(summary) => {
            let published: usize = book.prices.values().map(Vec::len).sum();
            let acknowledged: usize = book.acknowledged.values().map(Vec::len).sum();
            println!(
                "{seed}clean: {published} ticks on the tape, {acknowledged} acknowledged, {} readers, {} connections, \
                 {} resumed, {} resets, {} ticks seen",
                readers.len(),
                summary.connections,
                summary.resumed,
                summary.resets,
                summary.ticks
            );
            Ok(())
        }
        Err(violation) => {
            let folder = std::env::temp_dir().join(format!("ledger-{}", std::process::id()));
            files::write(&folder, book, readers)?;
            bail!(
                "{seed}{violation}the whole ledger is in {}",
                folder.display()
            );
        }
    }
}
