//! `cargo xtask fuzz`: runs the fuzz targets, or the same checks as property tests if libFuzzer
//! cannot be built.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::tools;
use crate::workspace::{cargo, root, target};

/// The folder of the targets, in the form that cargo-fuzz expects.
const TARGETS: &str = "fuzz/targets";

/// How long each target runs, and the targets. No target means all.
struct Plan {
    seconds: u64,
    names: Vec<String>,
}

/// Runs the targets. Arguments: names of targets (default: all), and `--seconds N` for each target
/// (60). Without a nightly compiler and cargo-fuzz, runs the property tests for about as long.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(root()?)?;
    let plan = parse(arguments, &names()?)?;
    if !has_nightly() {
        println!(
            "libFuzzer needs a nightly compiler, which is missing: the same checks run as property tests"
        );
        return property_tests(&plan);
    }
    match tools::fuzzer(&target()?.join("tools")) {
        Ok(fuzzer) => run_targets(&fuzzer, &plan),
        Err(why) => {
            println!("{why}: the same checks run as property tests");
            property_tests(&plan)
        }
    }
}

/// Runs each target under libFuzzer. New inputs that reach new code stay in the folder of the
/// build, so that the next run continues from there.
fn run_targets(fuzzer: &Path, plan: &Plan) -> Result<()> {
    let found = target()?.join("fuzz-corpus");
    let mut failed = Vec::new();
    for name in &plan.names {
        println!("\n== {name}");
        let corpus = found.join(name);
        std::fs::create_dir_all(&corpus)?;
        let mut run = Command::new(fuzzer);
        // Built like the tests, with all checks, and not as long as a release.
        run.args([
            "fuzz",
            "run",
            "--dev",
            "--fuzz-dir",
            TARGETS,
            "--target-dir",
        ])
        .arg(target()?.join("fuzz"))
        .arg(name)
        .arg(&corpus)
        .arg(Path::new("fuzz/corpus").join(name))
        .args(["--", &format!("-max_total_time={}", plan.seconds)])
        // The task itself runs with the stable Cargo.
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env_remove("CARGO");
        if !run.status().context("cannot start cargo-fuzz")?.success() {
            failed.push(name.as_str());
        }
    }
    ensure!(
        failed.is_empty(),
        "failed: {}; the inputs are in {TARGETS}/artifacts",
        failed.join(", ")
    );
    Ok(())
}

/// Runs the property tests of the targets with as many cases as take about as long.
fn property_tests(plan: &Plan) -> Result<()> {
    let mut tests = cargo(&[
        "test",
        "--package",
        "tickcast-fuzz",
        "--test",
        "bodies",
        "--",
    ]);
    tests
        .args(&plan.names)
        .arg("--exact")
        .env("CASES", plan.seconds.to_string());
    if !tests.status().context("cannot start the tests")?.success() {
        bail!("a property test failed");
    }
    Ok(())
}

fn has_nightly() -> bool {
    let mut rustc = Command::new("rustc");
    rustc
        .arg("--version")
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    rustc.status().is_ok_and(|status| status.success())
}

/// Returns the names of all targets, in order.
fn names() -> Result<Vec<String>> {
    let files = std::fs::read_dir(Path::new(TARGETS).join("fuzz_targets")).context(TARGETS)?;
    let stem = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = files
        .flatten()
        .filter_map(|file| stem(&file.path()))
        .collect();
    names.sort();
    Ok(names)
}

fn parse(arguments: &[String], known: &[String]) -> Result<Plan> {
    let (mut seconds, mut names) = (60, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let number = rest.next().and_then(|number| number.parse().ok());
            seconds = number.context("--seconds takes a number")?;
        } else if known.contains(argument) {
            names.push(argument.clone());
        } else {
            bail!(
                "{argument} is unknown (expected --seconds or one of {})",
                known.join(", ")
            );
        }
    }
    if names.is_empty() {
        names = known.to_vec();
    }
    Ok(Plan { seconds, names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn targets_and_seconds_are_arguments() {
        let known = words("cursor price");
        let plan = parse(&words("price --seconds 5"), &known).unwrap();
        assert_eq!((plan.seconds, plan.names), (5, words("price")));
        let plan = parse(&[], &known).unwrap();
        assert_eq!((plan.seconds, plan.names), (60, known.clone()));
        for wrong in ["prices", "--seconds", "--seconds x"] {
            assert!(parse(&words(wrong), &known).is_err(), "{wrong}");
        }
    }
}
