//! `cargo xtask ledger`: tests the guarantee that no tick is lost, on a server that is killed
//! repeatedly.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tools;
use crate::workspace::{build_dist, root, target};

/// The number of runs, the length of each run, its number of readers, and the number of runs at the
/// same time.
struct Plan {
    runs: u64,
    seconds: u64,
    readers: u64,
    parallel: usize,
    seed: u64,
    /// The library that moves the server's clock, if available.
    faketime: Option<PathBuf>,
}

/// In one of so many runs, the server and its readers speak TLS.
const TLS_RUNS: u64 = 3;

/// The paths at which packages install the library that moves a program's wall clock.
const FAKETIME: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Runs the ledger. Arguments: `--runs N` (10), `--seconds N` (60), `--readers N` (200),
/// `--together N` (4), and `--seed N` of the first run (1). The runs also move the server's clock
/// if `libfaketime` is available.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut plan = parse(arguments)?;
    plan.faketime = faketime();
    std::env::set_current_dir(root()?)?;
    build_dist(&["tickcast-server", "ledger"])?;
    let mut seeds = plan.seed..plan.seed + plan.runs;
    let mut running: Vec<(u64, Child)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < plan.parallel
            && let Some(seed) = seeds.next()
        {
            running.push((seed, start(&plan, seed)?));
        }
        if running.is_empty() {
            break;
        }
        let (seed, mut run) = running.remove(0);
        if !run.wait()?.success() {
            failed.push(seed);
        }
    }
    println!(
        "{} of {} runs clean",
        plan.runs - failed.len() as u64,
        plan.runs
    );
    if !failed.is_empty() {
        bail!("not clean: seeds {failed:?}");
    }
    Ok(())
}

fn start(plan: &Plan, seed: u64) -> Result<Child> {
    let programs = target()?.join("dist");
    let mut run = Command::new(programs.join("ledger"));
    run.arg("run")
        .arg("--program")
        .arg(programs.join("tickcast"))
        .args(["--seed", &seed.to_string()])
        .args([
            "--tls",
            if seed.is_multiple_of(TLS_RUNS) {
                "true"
            } else {
                "false"
            },
        ]);
    run.args([
        "--seconds",
        &plan.seconds.to_string(),
        "--readers",
        &plan.readers.to_string(),
    ]);
    run.args(
        plan.faketime
            .iter()
            .flat_map(|library| [OsStr::new("--faketime"), library.as_os_str()]),
    );
    run.stdin(Stdio::null())
        .spawn()
        .context("cannot run the ledger")
}

/// Returns the library that moves a program's wall clock. Installs a missing library.
fn faketime() -> Option<PathBuf> {
    let find = || FAKETIME.iter().map(Path::new).find(|path| path.is_file());
    tools::try_install(
        || find().is_some(),
        &["libfaketime"],
        "which moves the server's clock",
    );
    find().map(Path::to_owned)
}

fn parse(arguments: &[String]) -> Result<Plan> {
    let mut plan = Plan {
        runs: 10,
        seconds: 60,
        readers: 200,
        parallel: 4,
        seed: 1,
        faketime: None,
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            bail!("{} takes a number", pair[0])
        };
        let number: u64 = value
            .parse()
            .with_context(|| format!("{name} takes a number"))?;
        match name.as_str() {
            "--runs" => plan.runs = number,
            "--seconds" => plan.seconds = number,
            "--readers" => plan.readers = number,
            "--together" => plan.parallel = usize::try_from(number.max(1))?,
            "--seed" => plan.seed = number,
            _ => bail!(
                "{name} is unknown (expected --runs, --seconds, --readers, --together or --seed)"
            ),
        }
    }
    Ok(plan)
}
