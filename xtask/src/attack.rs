//! `cargo xtask attack`: tests the guarantee that no client can stop the service for other clients.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{build_release, root, target};

/// Builds the programs and runs the attacks. The arguments are the arguments of `attack/`: names of attacks
/// (default: all), `--size N`, `--symbols N`, `--on-disk`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(root()?)?;
    build_release(&["tickcast-server", "attack"])?;
    let release = target()?.join("release");
    let mut attack = Command::new(release.join("attack"));
    attack.arg("--program").arg(release.join("tickcast")).args(arguments);
    if !attack.status().context("cannot attack")?.success() {
        bail!("not every attack was held");
    }
    Ok(())
}
