//! Builds the program with a profile of what it does under load (profile-guided optimisation).
//!
//! A tick that comes after a pause finds cold caches. With a profile, the compiler puts the code that
//! a tick needs close together, apart from code that seldom runs. Only the workspace and its
//! dependencies in Rust are profiled, not C libraries.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{cargo, host, target};

/// How often each event counts that is seldom, but has to be fast: a tick that comes alone. The busiest
/// loops run some hundred million times, and a thousand ticks come alone.
const SELDOM_WEIGHT: u32 = 100_000;

/// Builds the program so that it records its profile. Returns the folder of the program.
pub(crate) fn build_recording() -> Result<PathBuf> {
    let recorded = recorded()?;
    let flag = format!("-Cprofile-generate={}", recorded.display());
    build("recording", &flag)
}

/// Builds the program with its recorded profile. Returns the folder of the program.
pub(crate) fn build_profiled() -> Result<PathBuf> {
    build(
        "profiled",
        &format!("-Cprofile-use={}", merged()?.display()),
    )
}

/// Returns the folder of what is done seldom.
fn seldom_recorded() -> Result<PathBuf> {
    Ok(folder()?.join("seldom-recorded"))
}

/// Returns the folder in which the programs record.
pub(crate) fn recorded() -> Result<PathBuf> {
    Ok(folder()?.join("recorded"))
}

/// Records the profile of a program with `record`, unless it is recorded already. `loads` describes
/// what is recorded.
pub(crate) fn record(
    program: &Path,
    loads: impl Debug,
    record: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    let loads = format!("{loads:?}");
    (fs::read(program)?, loads, SELDOM_WEIGHT).hash(&mut hasher);
    let identity = format!("{:016x}", hasher.finish());
    let recorded_with = folder()?.join("recorded-with");
    if fs::read_to_string(&recorded_with).is_ok_and(|known| known == identity) {
        return Ok(());
    }
    forget(&recorded_with)?;
    record()?;
    merge()?;
    Ok(fs::write(recorded_with, identity)?)
}

/// Removes what was recorded before.
fn forget(recorded_with: &Path) -> Result<()> {
    if recorded_with.exists() {
        fs::remove_file(recorded_with)?;
    }
    for recorded in [recorded()?, seldom_recorded()?] {
        if recorded.exists() {
            fs::remove_dir_all(&recorded)?;
        }
        fs::create_dir_all(recorded)?;
    }
    Ok(())
}

/// Gives what was recorded so far the weight of what is done seldom, but has to be fast.
pub(crate) fn weigh_as_seldom() -> Result<()> {
    let to = seldom_recorded()?;
    for file in fs::read_dir(recorded()?)? {
        let file = file?;
        fs::rename(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// Merges what the programs have recorded into the profile.
fn merge() -> Result<()> {
    // What a killed program had begun to write is left out.
    let mut merge = Command::new(llvm_profdata()?);
    let mut seldom = OsString::from(format!("--weighted-input={SELDOM_WEIGHT},"));
    seldom.push(seldom_recorded()?);
    merge
        .args(["merge", "--sparse", "--failure-mode=all", "--output"])
        .args([merged()?, recorded()?])
        .arg(seldom);
    let merged = merge.status().context("cannot run llvm-profdata")?;
    ensure!(merged.success(), "the recorded profiles cannot be merged");
    Ok(())
}

/// Checks that profiles can be merged.
///
/// # Errors
/// If llvm-profdata is missing. The error says how to install it.
pub(crate) fn check_tools() -> Result<()> {
    let tool = llvm_profdata()?;
    ensure!(
        tool.is_file(),
        "llvm-profdata is missing, which merges profiles; install it with: rustup component add llvm-tools"
    );
    Ok(())
}

/// Returns the path of llvm-profdata. Its version has to be that of the compiler, so it comes with
/// the toolchain.
fn llvm_profdata() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()
        .context("cannot run rustc")?;
    let libraries = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let own = libraries.parent().context("rustc has no libraries")?;
    Ok(own.join("bin").join("llvm-profdata"))
}

fn build(kind: &str, flag: &str) -> Result<PathBuf> {
    let (folder, host) = (folder()?.join(kind), host()?);
    // With a target of their own, build scripts and macros are not profiled.
    let mut build = cargo(&["build", "--profile", "dist", "--locked", "--target", &host]);
    build
        .args(["--package", "tickcast-server"])
        .env("CARGO_ENCODED_RUSTFLAGS", flag)
        .env("CARGO_TARGET_DIR", &folder);
    let built = build.status().context("cannot build")?;
    ensure!(built.success(), "tickcast-server does not build");
    Ok(folder.join(host).join("dist"))
}

fn merged() -> Result<PathBuf> {
    Ok(folder()?.join("merged.profdata"))
}

fn folder() -> Result<PathBuf> {
    Ok(target()?.join("profile"))
}
