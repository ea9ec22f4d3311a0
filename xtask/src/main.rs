//! The project's own tasks. `cargo xtask test` runs every check there is, `cargo xtask bench` every measurement, `cargo xtask ledger`
//! torments a server and checks what it promised, `cargo xtask attack` attacks one and measures what others notice.

mod attack;
mod bench;
mod circles;
mod ledger;
mod sources;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context;

const USAGE: &str = "\
usage: cargo xtask test
       cargo xtask circles
       cargo xtask bench [CASE…] [--rounds N] | bench instructions | bench against REV [CASE…] [--pairs N]
       cargo xtask ledger [--runs N] [--seconds N]
       cargo xtask attack [NAME…] [--size N] [--symbols N] [--on-disk]";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((task, [])) if task == "test" => test::run(),
        Some((task, [])) if task == "circles" => root().and_then(|root| circles::check(&root)),
        Some((task, cases)) if task == "bench" => bench::run(cases),
        Some((task, arguments)) if task == "ledger" => ledger::run(arguments),
        Some((task, arguments)) if task == "attack" => attack::run(arguments),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the workspace lies.
fn root() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies within the workspace")?.to_path_buf())
}

/// Where Cargo builds, and where we put what we make or install.
fn target() -> anyhow::Result<PathBuf> {
    Ok(root()?.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())))
}

/// Builds these packages as they are measured.
fn build_release(packages: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(&["build", "--release"]);
    for package in packages {
        build.args(["--package", package]);
    }
    anyhow::ensure!(
        build.status().context("cannot build")?.success(),
        "{} do not build",
        packages.join(" and ")
    );
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}
