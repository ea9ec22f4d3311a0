//! Counts the instructions of the core's operations. The count is the same in every run, whatever
//! else the machine does.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Number of repetitions of an operation. A second run with twice as many repetitions removes the
/// cost of the program's start.
const REPETITIONS: u64 = 200;

/// A small operation whose instructions are counted.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) what: String,
}

/// Returns a table of all operations, or `None` if valgrind is not available.
pub(super) fn table(programs: &Path) -> Result<Option<String>> {
    let Some(counts) = counts(programs)? else {
        return Ok(None);
    };
    let mut text = String::from("| operation | | instructions |\n|---|---|---|\n");
    for (operation, count) in counts {
        let count = super::table::short(count as f64);
        text.push_str(&format!(
            "| {} | {} | {count} |\n",
            operation.name, operation.what
        ));
    }
    Ok(Some(text))
}

/// Returns the number of instructions of each operation, or `None` if valgrind is not available.
pub(super) fn counts(programs: &Path) -> Result<Option<Vec<(Operation, u64)>>> {
    if !have_valgrind() {
        return Ok(None);
    }
    let program = programs.join("instructions");
    let list = Command::new(&program)
        .output()
        .context("cannot list the operations")?;
    let mut counts = Vec::new();
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        let (name, what) = line
            .split_once('\t')
            .context("an operation has no description")?;
        let count = count_once(&program, name, 2 * REPETITIONS)?.saturating_sub(count_once(
            &program,
            name,
            REPETITIONS,
        )?) / REPETITIONS;
        counts.push((
            Operation {
                name: name.to_owned(),
                what: what.to_owned(),
            },
            count,
        ));
    }
    Ok(Some(counts))
}

/// Returns the number of instructions of a whole run.
fn count_once(program: &Path, name: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program);
    let output = valgrind
        .args([name, &times.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = stderr
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    match count.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => bail!("valgrind: {}", stderr.lines().last().unwrap_or_default()),
    }
}

fn have_valgrind() -> bool {
    let is_present = || {
        Command::new("valgrind")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    crate::tools::try_install(is_present, &["valgrind"], "to count instructions")
}
