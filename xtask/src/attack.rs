//! `cargo xtask attack`: the promise that nobody stops the others, held against those who try.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Builds and attacks. The arguments are those of `attack/`: names of attacks (all), `--size N`, `--symbols N`, `--on-disk`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(crate::root()?)?;
    crate::build_release(&["tickcast-server", "attack"])?;
    let mut attack = Command::new("target/release/attack");
    attack.args(["--program", "target/release/tickcast"]).args(arguments);
    if !attack.status().context("cannot attack")?.success() {
        bail!("not every attack was held");
    }
    Ok(())
}
