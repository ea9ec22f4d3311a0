//! `cargo xtask test`: format, lints, documentation, dependencies, and every test with real clients.

use std::process::Command;
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
