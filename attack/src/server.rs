//! The server under attack, on its own ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};
use attack::Process;
use serde_json::Value;
use tempfile::TempDir;

/// The token of publishers.
pub(crate) const TOKEN: &str = "attack";

/// Maximum time to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. The server is killed on drop, because the attacks do not test the shutdown.
pub(crate) struct Server {
    child: Child,
    _data: Option<TempDir>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server with `arguments` besides ports and token, and with a tape in memory or on
    /// disk.
    pub(crate) fn start(program: &Path, arguments: &[&str], on_disk: bool) -> Result<Self> {
        let data = on_disk.then(TempDir::new).transpose()?;
        let mut command = Command::new(program);
        command.args([
            "serve",
            "--source",
            "none",
            "--publish-token",
            TOKEN,
            "--log-format",
            "json",
        ]);
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments);
        // The largest market has the default maximum number of symbols. The other clients need more
        // symbols.
        command.args(["--max-symbols", "110000"]);
        if let Some(data) = &data {
            command.arg("--data").arg(data.path());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let log = child.stderr.take().context("the server has no log")?;
        let mut server = Self {
            child,
            _data: data,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.address = address(log).context("the server does not start")?;
        Ok(server)
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Returns whether the server is still running.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the address from the server's log. A thread reads the log until the end, so that the
/// server can always write.
fn address(log: ChildStderr) -> Result<SocketAddr> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["fields"]["public"].as_str() {
                let _ = sender.send(address.parse());
            } else if line["level"] == "ERROR" {
                eprintln!("server: {line}");
            }
        }
    });
    Ok(receiver.recv_timeout(START_TIMEOUT)??)
}
