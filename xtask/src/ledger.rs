//! `cargo xtask ledger`: the promise that nothing is lost, held against a server that is killed again and again.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many runs there are, how long each is, how many readers it has, and how many run at the same time.
struct Plan {
    runs: u64,
    seconds: u64,
    readers: u64,
    together: usize,
    seed: u64,
}

/// Runs. Arguments: `--runs N` (10), `--seconds N` (60), `--readers N` (200), `--together N` (4), `--seed N` of the first (1).
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let plan = parse(arguments)?;
    std::env::set_current_dir(crate::root()?)?;
    crate::build_release(&["tickcast-server", "ledger"])?;
    let mut seeds = plan.seed..plan.seed + plan.runs;
    let mut under_way: Vec<(u64, Child)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        while under_way.len() < plan.together
            && let Some(seed) = seeds.next()
        {
            under_way.push((seed, start(&plan, seed)?));
        }
        if under_way.is_empty() {
            break;
        }
        let (seed, mut run) = under_way.remove(0);
        if !run.wait()?.success() {
            failed.push(seed);
        }
    }
    println!("{} of {} runs clean", plan.runs - failed.len() as u64, plan.runs);
    if !failed.is_empty() {
        bail!("not clean: seeds {failed:?}");
    }
    Ok(())
}

fn start(plan: &Plan, seed: u64) -> Result<Child> {
    let release = crate::target()?.join("release");
    let mut run = Command::new(release.join("ledger"));
    run.arg("run").arg("--program").arg(release.join("tickcast")).args(["--seed", &seed.to_string()]);
    run.args(["--seconds", &plan.seconds.to_string(), "--readers", &plan.readers.to_string()]);
    run.stdin(Stdio::null()).spawn().context("cannot run the ledger")
}

fn parse(arguments: &[String]) -> Result<Plan> {
    let mut plan = Plan { runs: 10, seconds: 60, readers: 200, together: 4, seed: 1 };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { bail!("{} takes a number", pair[0]) };
        let number: u64 = value.parse().with_context(|| format!("{name} takes a number"))?;
        match name.as_str() {
            "--runs" => plan.runs = number,
            "--seconds" => plan.seconds = number,
            "--readers" => plan.readers = number,
            "--together" => plan.together = usize::try_from(number.max(1))?,
            "--seed" => plan.seed = number,
            _ => bail!("{name} is unknown; there are --runs, --seconds, --readers, --together and --seed"),
        }
    }
    Ok(plan)
}
