//! `tickcast bench`: measures a server under load and prints the report.

use anyhow::{Context, anyhow};
use tickcast_bench::{BenchError, Measure, Options};

use crate::cli::BenchArgs;
use crate::exit::CliError;

/// Runs one benchmark and prints the report.
pub(crate) fn run(args: BenchArgs) -> Result<(), CliError> {
    let json = args.json;
    // Each stream needs a file descriptor. If the limit cannot be raised, opening the streams
    // reports it.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let report = tickcast_bench::run(&args.into())?;
    if json {
        println!(
            "{}",
            serde_json::to_string(&report).context("cannot write the report as JSON")?
        );
    } else {
        println!("{report}");
    }
    Ok(())
}

impl From<BenchArgs> for Options {
    fn from(args: BenchArgs) -> Self {
        let measure = match (args.flood, args.churn) {
            (true, _) => Measure::Flood,
            (false, true) => Measure::Churn,
            (false, false) => Measure::Streams,
        };
        Self {
            url: args.url,
            token: args.token,
            measure,
            streams: args.streams,
            stalled: args.stalled,
            rate: args.rate,
            symbols: args.symbols,
            symbols_per_stream: args.symbols_per_stream,
            wide: args.wide,
            sample_every: args.sample_every,
            window: args.seconds.0,
            warm_up: args.warm_up.0,
            pid: args.pid,
            stream_path: args.stream_path,
            publish_path: args.publish_path,
            no_batch: args.no_batch,
        }
    }
}

/// Names the flags instead of the options.
impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Option { name, problem } => {
                Self::Usage(format!("--{} {problem}", name.replace('_', "-")))
            }
            BenchError::Process(_) => Self::Work(anyhow!("--{error}")),
            BenchError::Connection { .. } | BenchError::System(_) | BenchError::Failed(_) => {
                Self::Work(error.into())
            }
        }
    }
}
