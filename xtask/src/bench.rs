//! `cargo xtask bench`: compares tickcast with other servers, under the loads
//! of the specification.

mod against;
mod arguments;
mod cases;
mod instructions;
mod runner;
mod servers;
mod table;
mod training;

use anyhow::Result;

use crate::workspace::root;
use cases::CASES;
use runner::Runner;
use table::{Reports, Table};

/// Number of rounds. Each round measures every case and server in turn, so that a slow phase of the
/// machine affects all servers.
const ROUNDS: usize = 5;

/// The argument for a comparison of two builds.
const AGAINST: &str = "against";

/// Builds the program as it is released, and says where it is.
pub(crate) fn dist() -> Result<()> {
    let program = training::build()?.join("tickcast");
    println!("{}", program.display());
    Ok(())
}

/// Measures the servers. Arguments: names of cases (default: all) and `--rounds N`. Or
/// `instructions`. Or `against`, a commit, and the arguments of either.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((_, rest)) = arguments
        .split_first()
        .filter(|(first, _)| *first == AGAINST)
    {
        return against::run(rest);
    }
    let (rounds, selected) = arguments::parse(arguments, "--rounds", ROUNDS)?;
    if rounds == 0 {
        let runner = Runner::build()?;
        println!(
            "{}",
            instructions::table(&runner.programs)?.unwrap_or_default()
        );
        return Ok(());
    }
    let mut runner = training::released()?;
    runner.nchan = servers::nchan::is_installed();
    runner.durable_streams = servers::durable_streams::is_installed();

    let mut reports = Reports::new();
    for round in 1..=rounds {
        for case in CASES
            .iter()
            .filter(|case| selected.is_empty() || selected.contains(&case.name))
        {
            let servers = runner.measurable(case);
            let servers: Vec<_> = servers
                .map(|kind| (kind, runner.programs.as_path()))
                .collect();
            let reports_of_case = runner.measure(case, &servers)?;
            for ((kind, _), report) in servers.into_iter().zip(reports_of_case) {
                println!(
                    "round {round}  {:4} {:9} {}",
                    case.name,
                    format!("{kind:?}"),
                    table::summary(&report)
                );
                reports.entry((case.name, kind)).or_default().push(report);
            }
        }
    }
    let table = Table::new(&reports, rounds);
    println!("\n{}", table.verdicts());
    if selected.is_empty() {
        let root = root()?;
        let file = root
            .join("peers/results")
            .join(format!("{}.md", table::today()?));
        std::fs::create_dir_all(root.join("peers/results"))?;
        let instructions = instructions::table(&runner.programs)?;
        std::fs::write(&file, table.document(instructions.as_deref())?)?;
        println!("written to {}", file.strip_prefix(&root)?.display());
    }
    table.outcome()
}
