//! `cargo xtask bench`: tickcast against the floor, the textbook and nchan, under the loads of the specification.

mod against;
mod cases;
mod instructions;
mod servers;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use cases::{CASES, Case, Who};
use servers::Server;
use table::Table;

/// How often everything is measured, one after the other: a machine that is slower for a while is so for everyone.
const ROUNDS: usize = 5;

/// A load that is this busy, with a server that is not, was what was measured.
const BUSY: f64 = 0.9;

/// Every report, by case and by who was measured.
type Reports = BTreeMap<(&'static str, Who), Vec<Value>>;

/// The one thing that is not a case: counted, not measured.
const INSTRUCTIONS: &str = "instructions";

/// Two builds are compared.
const AGAINST: &str = "against";

/// Measures. Arguments: names of cases, all if there are none; `--rounds N`. Or `instructions`; or `against`, a commit, and either.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((_, rest)) = arguments.split_first().filter(|(first, _)| *first == AGAINST) {
        return against::run(rest);
    }
    let (rounds, wanted) = parse(arguments, "--rounds", ROUNDS)?;
    let mut runner = Runner::build()?;
    if rounds == 0 {
        println!("{}", instructions::table(&runner.release)?.unwrap_or_default());
        return Ok(());
    }
    runner.nchan = servers::have_nchan();

    let mut reports = Reports::new();
    for round in 1..=rounds {
        for case in CASES.iter().filter(|case| wanted.is_empty() || wanted.contains(&case.name)) {
            for who in runner.present(case) {
                let measured = runner.measure(case, who, &runner.release);
                let report = measured.with_context(|| format!("{}, {who:?}", case.name))?;
                println!(
                    "round {round}  {:4} {:9} {}",
                    case.name,
                    format!("{who:?}"),
                    table::summary(&report)
                );
                reports.entry((case.name, who)).or_default().push(report);
            }
        }
    }
    let table = Table::new(&reports, rounds);
    println!("\n{}", table.verdicts());
    if wanted.is_empty() {
        let root = crate::root()?;
        let file = root.join("bench/results").join(format!("{}.md", table::today()?));
        std::fs::create_dir_all(root.join("bench/results"))?;
        let instructions = instructions::table(&runner.release)?;
        std::fs::write(&file, table.document(instructions.as_deref())?)?;
        println!("written to {}", file.strip_prefix(&root)?.display());
    }
    table.outcome()
}

/// How often everything is measured, as `option` says or `rounds`, and which cases; never where instructions alone are counted.
fn parse(arguments: &[String], option: &str, mut rounds: usize) -> Result<(usize, Vec<&'static str>)> {
    if arguments == [INSTRUCTIONS] {
        return Ok((0, Vec::new()));
    }
    let mut wanted = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == option {
            let number = arguments.next().and_then(|number| number.parse().ok());
            rounds = number.filter(|n| *n > 0).with_context(|| format!("{option} takes a number"))?;
        } else {
            let case = CASES.iter().find(|case| case.name.eq_ignore_ascii_case(argument));
            let names = CASES.map(|case| case.name).join(", ");
            wanted.push(
                case.with_context(|| {
                    format!("no case {argument:?}; there are {names}, or {INSTRUCTIONS} alone")
                })?
                .name,
            );
        }
    }
    Ok((rounds, wanted))
}

struct Runner {
    release: PathBuf,
    place: PathBuf,
    nchan: bool,
}

impl Runner {
    /// Builds what is measured.
    fn build() -> Result<Self> {
        let root = crate::root()?;
        std::env::set_current_dir(&root)?;
        crate::build_release(&["tickcast-server", "peers"])?;
        let place = crate::target()?.join("bench");
        std::fs::create_dir_all(&place)?;
        Ok(Self { release: crate::target()?.join("release"), place, nchan: false })
    }

    fn present(&self, case: &Case) -> impl Iterator<Item = Who> {
        let nchan = self.nchan;
        case.who.iter().copied().filter(move |who| nchan || *who != Who::Nchan)
    }

    /// Starts the server, whose program is in `programs`, on one core and the load on the other; returns what the load has to say.
    fn measure(&self, case: &Case, who: Who, programs: &Path) -> Result<Value> {
        let server = Server::start(who, case.server, programs, &self.place)?;
        let mut load = self.load(&server);
        let output = load.args(case.load.split(' ')).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn load(&self, server: &Server) -> Command {
        let mut command = servers::pinned(1, Path::new(&self.release).join("tickcast").as_path());
        command.args(["bench", "--json", "--pid", &server.pid().to_string()]).args(&server.arguments);
        command
    }
}
