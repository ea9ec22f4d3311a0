//! The folders of the workspace, and Cargo commands.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Returns the folder of the workspace.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest_dir
        .parent()
        .context("xtask lies within the workspace")?
        .to_path_buf())
}

/// Returns the folder in which Cargo builds. The tasks also put their outputs and installed tools
/// there.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(root()?.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())))
}

/// Builds these packages as they are packaged and measured. Returns the folder of the programs.
pub(crate) fn build_dist(packages: &[&str]) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--profile", "dist"]);
    for package in packages {
        build.args(["--package", package]);
    }
    ensure!(
        build.status().context("cannot build")?.success(),
        "{} do not build",
        packages.join(" and ")
    );
    Ok(target()?.join("dist"))
}

/// Returns a command with these arguments for the same Cargo that runs the task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Returns the name of this platform, as Cargo's `--target` takes it.
pub(crate) fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its platform")?.to_owned())
}
