//! The measured servers, each on the first core.

pub(super) mod durable_streams;
pub(super) mod nchan;
mod server;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::cases::ServerKind;
use server::free_address;
pub(super) use server::{Server, pinned};

/// The token of publishers of tickcast.
const TOKEN: &str = "bench";

/// Starts a server. `arguments` are arguments of tickcast, and `folder` is the folder for the
/// server's files.
pub(super) fn start(
    kind: ServerKind,
    arguments: &str,
    programs: &Path,
    folder: &Path,
) -> Result<Server> {
    match kind {
        ServerKind::Tickcast => {
            let arguments: Vec<_> = arguments.split_whitespace().collect();
            tickcast(programs, "none", &arguments)
        }
        ServerKind::Floor => peer(&programs.join("floor")),
        ServerKind::Textbook => peer(&programs.join("textbook")),
        ServerKind::Nchan => nchan::start(folder),
        ServerKind::DurableStreams => durable_streams::start(folder),
    }
}

/// Starts tickcast with a source.
pub(super) fn tickcast(programs: &Path, source: &str, arguments: &[&str]) -> Result<Server> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = pinned(0, &programs.join("tickcast"));
    command.args([
        "serve",
        "--source",
        source,
        "--publish-token",
        TOKEN,
        "--drain",
        "10ms",
    ]);
    command
        .args(["--listen", &address, "--admin", &admin])
        .args(arguments)
        .stderr(Stdio::null());
    Server::running(command.spawn()?, &address, &["--token", TOKEN])
}

/// Starts a server that first prints its address.
fn peer(program: &Path) -> Result<Server> {
    let mut child = pinned(0, program).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    let output = child
        .stdout
        .take()
        .context("the server has no standard output")?;
    BufReader::new(output).read_line(&mut address)?;
    Server::running(child, address.trim(), &[])
}
