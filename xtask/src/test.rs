//! `cargo xtask test`: format, lints, documentation, dependencies, and every test with real clients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tools::Tools;
use crate::{cargo, root};

/// Runs everything; stops at the first check that fails.
pub(crate) fn run() -> Result<()> {
    let root = root()?;
    std::env::set_current_dir(&root)?;
    let skipped = root.join("target/skipped-tests");
    let _ = std::fs::remove_file(&skipped);

    step("format", cargo(&["fmt", "--all", "--check"]))?;
    step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut docs = cargo(&["doc", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    step("documentation", docs)?;

    let tools = Tools::install(&root.join("target/tools"));
    match tools.npm() {
        true => pages(&root)?,
        false => println!("not checked: whether web/dist is built from web/src, without npm"),
    }
    match tools.deny() {
        Some(deny) => dependencies(deny)?,
        None => println!("not checked: dependencies, without cargo-deny"),
    }
    let mut tests = cargo(&["test", "--workspace"]);
    tests.envs(tools.environment()).env("XTASK_SKIPPED", &skipped);
    step("tests", tests)?;

    for line in tools.missing() {
        println!("not installed: {line}");
    }
    match std::fs::read_to_string(&skipped) {
        Ok(list) => println!("skipped tests:\n{list}"),
        Err(_) => println!("no test was skipped"),
    }
    Ok(())
}

/// The pages' types, and whether those in the repository are built from their sources.
fn pages(root: &Path) -> Result<()> {
    let web = root.join("web");
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(&web);
        npm
    };
    step("pages: packages", npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    step("pages: types", npm(&["run", "--silent", "check"]))?;
    let committed = files(&web.join("dist"))?;
    step("pages: build", npm(&["run", "--silent", "build"]))?;
    if files(&web.join("dist"))? != committed {
        bail!("web/dist is not what web/src builds to; it is now: commit it");
    }
    Ok(())
}

/// What is built in, against `deny.toml`; and against what is known to be unsafe, where the list of it can be had.
fn dependencies(deny: &Path) -> Result<()> {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(deny);
        command.args(["--log-level", "error"]).args(arguments);
        command
    };
    step("dependencies", ask(&["check", "licenses", "bans", "sources"]))?;
    let listed = ask(&["fetch", "db"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if listed {
        return step("dependencies: advisories", ask(&["check", "advisories"]));
    }
    println!("not checked: advisories about dependencies, whose list cannot be fetched");
    Ok(())
}

/// All files below `folder`, with what is in them.
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

fn step(name: &str, mut command: Command) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{name}: cannot start"))?;
    if !status.success() {
        bail!("{name} failed");
    }
    println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
