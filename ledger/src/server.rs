//! The server under test: started, killed, and started again at the same address.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::clock::MovedClock;

/// The token of publishers.
pub(crate) const TOKEN: &str = "ledger";

/// The start of the server's log message about a moved wall clock.
const CLOCK_JUMP_MESSAGE: &str = "the wall clock jumped";

/// Maximum time to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server at `address` whose tape is in `folder`, with the moved `clock` if given.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        address: &str,
        clock: Option<&MovedClock>,
        tls: bool,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.envs(clock.into_iter().flat_map(MovedClock::environment));
        command.args([
            "serve",
            "--source",
            "none",
            "--publish-token",
            TOKEN,
            "--log-format",
            "json",
        ]);
        command.args([
            "--drain",
            "300ms",
            "--tape-ticks",
            "2000",
            "--admin",
            "127.0.0.1:0",
            "--listen",
            address,
        ]);
        if tls {
            command.args(["--tls", "self-signed"]);
        }
        let scheme = if tls { "https" } else { "http" };
        let mut child = command
            .arg("--data")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("the server has no log")?;
        let (sender, receiver) = channel();
        let jumps = clock.map(MovedClock::jumps).unwrap_or_default();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = line["fields"]["public"].as_str() {
                    let _ = sender.send(format!("{scheme}://{address}"));
                } else if line["fields"]["message"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(CLOCK_JUMP_MESSAGE))
                {
                    jumps.fetch_add(1, Ordering::SeqCst);
                } else if line["level"] == "ERROR" {
                    eprintln!("server: {line}");
                }
            }
        });
        let url = wait(&receiver).context("the server does not start")?;
        Ok(Self { child, url })
    }

    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()?;
        Ok(())
    }

    /// Sends this signal and waits for the end of the server.
    pub(crate) fn end(mut self, signal: &str) -> Result<()> {
        self.signal(signal)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a client of the server. The certificate of a run over TLS is not checked: each start makes
/// a new one.
pub(crate) fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
    client.build().context("cannot make a client")
}

/// Returns the address of a server without its scheme.
pub(crate) fn address(url: &str) -> &str {
    url.split("://").last().unwrap_or(url)
}

fn wait(receiver: &Receiver<String>) -> Result<String> {
    Ok(receiver.recv_timeout(START_TIMEOUT)?)
}
