//! The server of the crate `durable-streams`: the fastest other one in Rust.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::server::{Server, free_address, pinned};
use crate::workspace::target;

/// The version that is measured.
const VERSION: &str = "0.1.5";

/// The stream of all ticks.
const STREAM: &str = "/v1/stream/ticks";

/// Returns the path of the program.
fn program() -> Result<PathBuf> {
    Ok(target()?.join("tools/durable-streams"))
}

/// Returns whether the server can be measured. Installs it with cargo if it is missing.
pub(in crate::bench) fn is_installed() -> bool {
    let installed = program().is_ok_and(|folder| {
        let program = folder.join("bin/durable-streams-server");
        program.exists() || install(&folder)
    });
    if !installed {
        eprintln!(
            "the server of the crate durable-streams is not measured: cargo cannot install it"
        );
    }
    installed
}

fn install(folder: &Path) -> bool {
    println!("installing durable-streams {VERSION} with cargo, to measure against it");
    let mut command = Command::new("cargo");
    command.args([
        "install",
        "durable-streams",
        "--locked",
        "--version",
        VERSION,
        "--root",
    ]);
    command
        .arg(folder)
        .status()
        .is_ok_and(|status| status.success())
}

/// Starts the server without a log on disk, and makes a stream of JSON.
pub(super) fn start(folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let (host, port) = address.split_once(':').context("an address has a port")?;
    let data = folder.join("durable-streams");
    let _ = std::fs::remove_dir_all(&data);
    let mut command = pinned(0, &program()?.join("bin/durable-streams-server"));
    command.args(["--host", host, "--port", port, "--durability", "memory"]);
    command.arg("--data-dir").arg(data);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let stream = format!("{STREAM}?offset=now&live=sse");
    let paths = [
        "--stream-path",
        &stream,
        "--publish-path",
        STREAM,
        "--no-batch",
    ];
    let server = Server::running(child, &address, &paths)?;
    make_stream(&address)?;
    Ok(server)
}

fn make_stream(address: &str) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    write!(
        socket,
        "PUT {STREAM} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 201") {
        bail!("no stream was made: {answer}");
    }
    Ok(())
}
