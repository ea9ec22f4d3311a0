//! `cargo xtask bench against REV`: measures an earlier commit and this tree in turn under the same
//! load, and reports regressions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::cases::Figure::{self, KibPerStream, P50, P99, PerCpuSecond, PerSecond};
use super::cases::{Bound, CASES, ServerKind};
use super::runner::Runner;
use super::table::{median, short};
use super::{arguments, instructions, table};
use crate::workspace::{cargo, target};

/// Default number of pairs. With fewer pairs, a difference of three percent can be chance.
const PAIRS: usize = 10;

/// The figures that must not become worse, with their cases.
const COMPARED: [(&str, Figure); 17] = [
    ("P1", PerCpuSecond),
    ("P1", P99),
    ("P2", PerCpuSecond),
    ("P3", PerCpuSecond),
    ("P4", PerCpuSecond),
    ("P4", P99),
    ("P5", KibPerStream),
    ("P7a", P99),
    ("P7b", P99),
    ("P8", PerSecond),
    ("P9", PerSecond),
    ("P13", P50),
    ("S1", PerCpuSecond),
    ("S1", P99),
    ("S2a", PerCpuSecond),
    ("S2b", PerCpuSecond),
    ("S5", PerCpuSecond),
];

/// Maximum ratio of the instructions of each operation.
const MAX_INSTRUCTIONS: Bound = Bound::AtMost(1.03);

/// The programs that are built from a commit.
const PROGRAMS: [&str; 2] = ["tickcast", "instructions"];

/// The reports of one build by case, in the order of the pairs.
type Reports = BTreeMap<&'static str, Vec<Value>>;

/// Measures both builds. Arguments: the commit, then the arguments of `bench` with `--pairs N`
/// instead of rounds. Or the commit and `instructions`.
pub(super) fn run(arguments: &[String]) -> Result<()> {
    let (revision, rest) = arguments.split_first().context("against takes a commit")?;
    let (pairs, selected) = arguments::parse(rest, "--pairs", PAIRS)?;
    let runner = Runner::build()?;
    let earlier = build_earlier(revision)?;
    let builds = [earlier.as_path(), runner.programs.as_path()];
    let mut reports = [Reports::new(), Reports::new()];
    for pair in 1..=pairs {
        for case in CASES
            .iter()
            .filter(|case| selected.is_empty() || selected.contains(&case.name))
        {
            // The order changes with every pair, so that no build profits from the state that the
            // first build leaves behind.
            let order = if pair % 2 == 0 { [1, 0] } else { [0, 1] };
            let servers = order.map(|index| (ServerKind::Tickcast, builds[index]));
            let measured = runner.measure(case, &servers)?;
            for (index, report) in order.into_iter().zip(measured) {
                let name = [revision.as_str(), "this"][index];
                println!(
                    "pair {pair}  {:4} {name:9} {}",
                    case.name,
                    table::summary(&report)
                );
                reports[index].entry(case.name).or_default().push(report);
            }
        }
    }
    let mut faults = Vec::new();
    if pairs > 0 {
        println!("\n{}", ratios(&reports, &mut faults));
    }
    if selected.is_empty() {
        println!("{}", counts(&builds, &mut faults)?);
    }
    if !faults.is_empty() {
        bail!("worse than {revision}: {}", faults.join("; "));
    }
    Ok(())
}

/// Returns a table row for each figure: the ratio of this tree's figure to the earlier commit's
/// figure, over the pairs.
fn ratios(reports: &[Reports; 2], faults: &mut Vec<String>) -> String {
    let mut text = String::from(
        "| | figure | median ratio | min..max | must | |\n|---|---|---|---|---|---|\n",
    );
    for (case, figure) in COMPARED {
        let [Some(before), Some(now)] = reports.each_ref().map(|reports| reports.get(case)) else {
            continue;
        };
        let pairs = now.iter().zip(before);
        let ratios: Vec<f64> = pairs
            .filter_map(|(now, before)| Some(figure.of(now)? / figure.of(before)?))
            .collect();
        let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let max = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let Some(ratio) = median(ratios) else {
            continue;
        };
        let spread = format!("{min:.3}..{max:.3}");
        text.push_str(&line(
            case,
            figure.name(case),
            ratio,
            &spread,
            regression_bound(figure),
            faults,
        ));
    }
    text
}

/// Returns the bound of a figure's ratio that counts as no regression.
const fn regression_bound(figure: Figure) -> Bound {
    match figure {
        P50 | P99 => Bound::AtMost(1.15),
        PerCpuSecond | PerSecond => Bound::AtLeast(0.97),
        KibPerStream | Figure::Missing | Figure::Growth | Figure::Lap => Bound::AtMost(1.0 / 0.97),
    }
}

/// Returns a table row for each operation: the instructions now and before.
fn counts(builds: &[&Path; 2], faults: &mut Vec<String>) -> Result<String> {
    let [Some(before), Some(now)] = [
        instructions::counts(builds[0])?,
        instructions::counts(builds[1])?,
    ] else {
        return Ok("instructions are not counted, because valgrind is missing".to_owned());
    };
    let mut text = String::from(
        "| operation | | ratio | instructions | must | |\n|---|---|---|---|---|---|\n",
    );
    for (operation, count) in &now {
        let Some((_, earlier)) = before
            .iter()
            .find(|(before, _)| before.name == operation.name)
        else {
            continue;
        };
        let (ratio, numbers) = (
            *count as f64 / *earlier as f64,
            format!("{} of {}", short(*count as f64), short(*earlier as f64)),
        );
        text.push_str(&line(
            &operation.name,
            &operation.what,
            ratio,
            &numbers,
            MAX_INSTRUCTIONS,
            faults,
        ));
    }
    Ok(text)
}

fn line(
    name: &str,
    what: &str,
    ratio: f64,
    numbers: &str,
    must: Bound,
    faults: &mut Vec<String>,
) -> String {
    let verdict = if must.holds(ratio) {
        "met"
    } else {
        faults.push(format!("{name}: {what}, {ratio:.3} ×"));
        "**missed**"
    };
    format!(
        "| {name} | {what} | {ratio:.3} | {numbers} | {} | {verdict} |\n",
        table::bound(must)
    )
}

/// Builds an earlier commit, unless the build exists already. Returns the folder of its programs.
/// The earlier commit has its own worktree and its own target folder. Both stay, because the next
/// commit differs little.
fn build_earlier(revision: &str) -> Result<PathBuf> {
    let commit = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &format!("{revision}^{{commit}}"),
    ])
    .with_context(|| format!("there is no commit {revision:?}"))?;
    let folder = target()?.join("against");
    let (tree, build, programs) = (
        folder.join("tree"),
        folder.join("build"),
        folder.join(&commit),
    );
    if programs.exists() {
        return Ok(programs);
    }
    std::fs::create_dir_all(&folder)?;
    let path = tree
        .to_str()
        .context("the path of the worktree is not UTF-8")?;
    if tree.join("Cargo.toml").exists() {
        git(&[
            "-C", path, "checkout", "--quiet", "--force", "--detach", &commit,
        ])?;
    } else {
        git(&["worktree", "prune"])?;
        git(&[
            "worktree", "add", "--quiet", "--force", "--detach", path, &commit,
        ])?;
    }
    // Commits before the profile was there were measured as a plain release build, with the same
    // settings.
    let manifest = std::fs::read_to_string(tree.join("Cargo.toml")).context("no Cargo.toml")?;
    let profile = if manifest.contains("[profile.dist]") {
        "dist"
    } else {
        "release"
    };
    let mut cargo = cargo(&[
        "build",
        "--profile",
        profile,
        "--package",
        "tickcast-server",
        "--package",
        "peers",
    ]);
    let built = cargo
        .current_dir(&tree)
        .env("CARGO_TARGET_DIR", &build)
        .status()
        .context("cannot build")?;
    ensure!(built.success(), "{revision} does not build");
    // The rename is atomic, so an existing folder always has complete programs.
    let unfinished = folder.join("unfinished");
    std::fs::create_dir_all(&unfinished)?;
    for program in PROGRAMS {
        std::fs::copy(build.join(profile).join(program), unfinished.join(program))?;
    }
    std::fs::rename(unfinished, &programs)?;
    Ok(programs)
}

/// Runs git and returns its output.
fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .context("cannot run git")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments[0],
        stderr.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
