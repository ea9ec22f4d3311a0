//! `cargo xtask race`: runs tests with threads under ThreadSanitizer, which notices accesses to
//! memory that no synchronization puts in order.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{cargo, host, root, target};

/// The tests that are run, as arguments of `cargo test`: of the parts that many threads read without a
/// lock. How lanes are woken has a model (`models`).
const TESTS: [&str; 6] = [
    "--package",
    "tickcast-core",
    "--lib",
    "--",
    "tape::",
    "names::",
];

/// What is not reported. The standard library of a toolchain is not instrumented, so its own
/// synchronization is not seen: channels, the last owner of an `Arc` (a fence), the test runner.
const SUPPRESSIONS: &str = "\
race:test::
race:std::sync::mpmc
race:alloc::sync::Arc*drop
";

/// The exit code of a program in which ThreadSanitizer found something. The test runner has others.
const FOUND: &str = "66";

/// Runs the tests again and again. Argument: `--minutes N` (5).
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let minutes: u64 = match arguments {
        [] => 5,
        [flag, minutes] if flag == "--minutes" => {
            minutes.parse().context("--minutes needs a number")?
        }
        _ => bail!("usage: cargo xtask race [--minutes N]"),
    };
    std::env::set_current_dir(root()?)?;
    let suppressions = target()?.join("race.suppressions");
    std::fs::write(&suppressions, SUPPRESSIONS)?;
    let host = host()?;
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let mut rounds = 0_u64;
    while rounds == 0 || Instant::now() < until {
        let status = tested(&host, &suppressions)?.status()?;
        ensure!(status.success(), "ThreadSanitizer or a test failed");
        rounds += 1;
    }
    println!("{rounds} rounds in {minutes} minutes, nothing found");
    Ok(())
}

/// Returns the command that runs tests. The sanitizer is a flag of nightly compilers, but the
/// library that it needs comes with a stable toolchain, too.
fn tested(host: &str, suppressions: &Path) -> Result<Command> {
    // With a target of their own, build scripts and macros are not instrumented.
    let mut command = cargo(&["test", "--quiet", "--target", host]);
    command
        .args(TESTS)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        )
        .env("CARGO_TARGET_DIR", race_target()?)
        .env(
            "TSAN_OPTIONS",
            format!("suppressions={} exitcode={FOUND}", suppressions.display()),
        );
    Ok(command)
}

fn race_target() -> Result<PathBuf> {
    Ok(target()?.join("race"))
}
