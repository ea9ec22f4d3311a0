//! A running server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Maximum time for a server to start.
const START: Duration = Duration::from_secs(10);

/// A running server, stopped on drop.
pub(in crate::bench) struct Server {
    child: Child,
    /// The address on which the server listens.
    pub(in crate::bench) address: String,
    /// The arguments of `tickcast bench` that depend on the server.
    pub(in crate::bench) arguments: Vec<String>,
}

impl Server {
    pub(in crate::bench) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server accepts connections. `arguments` are arguments of `tickcast bench`.
    pub(super) fn running(child: Child, address: &str, arguments: &[&str]) -> Result<Self> {
        let mut server = Self {
            child,
            address: address.to_owned(),
            arguments: vec!["--url".to_owned(), format!("http://{address}")],
        };
        server
            .arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let address: SocketAddr = address
            .parse()
            .with_context(|| format!("{address:?} is not an address"))?;
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > START || server.child.try_wait()?.is_some() {
                bail!("a server on {address} did not start");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx forwards only this signal to its workers.
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command that runs on the core with this number. Systems other than Linux cannot pin a
/// program; nothing is measured there, but a profile is recorded.
pub(in crate::bench) fn pinned(core: u32, program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Returns an address that was free a moment ago.
pub(super) fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
