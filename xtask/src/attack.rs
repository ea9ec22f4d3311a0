//! `cargo xtask attack`: tests the guarantee that no client can stop the service for other clients.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{build_dist, root};

/// Builds the programs and runs the attacks. The arguments are the arguments of `attack/`: names of
/// attacks (default: all), `timing`, `--size N`, `--symbols N`, `--on-disk`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(root()?)?;
    let programs = build_dist(&["tickcast-server", "attack"])?;
    let mut attack = Command::new(programs.join("attack"));
    attack
        .arg("--program")
        .arg(programs.join("tickcast"))
        .args(arguments);
    if !attack
        .status()
        .context("cannot start the attacks")?
        .success()
    {
        bail!("the server did not withstand every attack");
    }
    Ok(())
}
