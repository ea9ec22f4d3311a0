//! The measured servers, each on the first core.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cases::ServerKind;

/// The token of publishers of tickcast.
const TOKEN: &str = "bench";

/// Maximum time for a server to start.
const START: Duration = Duration::from_secs(10);

/// The path of nchan in Debian's package.
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// A running server, stopped on drop.
pub(super) struct Server {
    child: Child,
    /// The arguments of `tickcast bench` that depend on the server.
    pub(super) arguments: Vec<String>,
}

impl Server {
    /// Starts a server. `arguments` are arguments of tickcast, and `folder` is the folder for the
    /// server's files.
    pub(super) fn start(
        kind: ServerKind,
        arguments: &str,
        programs: &Path,
        folder: &Path,
    ) -> Result<Self> {
        match kind {
            ServerKind::Tickcast => tickcast(programs, arguments),
            ServerKind::Floor => peer(&programs.join("floor")),
            ServerKind::Textbook => peer(&programs.join("textbook")),
            ServerKind::Nchan => nchan(folder),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn running(child: Child, address: &str, arguments: &[&str]) -> Result<Self> {
        let mut server = Self {
            child,
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

/// Returns a command that runs on the core with this number.
pub(super) fn pinned(core: u32, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

fn tickcast(programs: &Path, arguments: &str) -> Result<Server> {
    let (address, admin) = (free_address()?, free_address()?);
    let mut command = pinned(0, &programs.join("tickcast"));
    command.args([
        "serve",
        "--source",
        "none",
        "--publish-token",
        TOKEN,
        "--drain",
        "10ms",
    ]);
    command
        .args(["--listen", &address, "--admin", &admin])
        .args(arguments.split_whitespace())
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

/// Starts nginx with nchan and one worker. The settings are fast: no access log, and a small
/// message buffer.
fn nchan(folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let folder_path = folder.display();
    let configuration = format!(
        "load_module {NCHAN};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder_path}/nginx.pid;
error_log {folder_path}/nginx.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder_path}/body; proxy_temp_path {folder_path}/proxy; fastcgi_temp_path {folder_path}/fastcgi;
  uwsgi_temp_path {folder_path}/uwsgi; scgi_temp_path {folder_path}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  server {{
    listen {address} backlog=4096;
    location = /pub {{
      nchan_publisher; nchan_channel_id ticks; nchan_message_buffer_length 16; nchan_message_timeout 5s;
    }}
    location = /sub {{
      nchan_subscriber eventsource; nchan_channel_id ticks; nchan_subscriber_first_message newest;
    }}
  }}
}}
"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration)?;
    let child = pinned(0, &nginx())
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()?;
    Server::running(
        child,
        &address,
        &[
            "--stream-path",
            "/sub",
            "--publish-path",
            "/pub",
            "--no-batch",
        ],
    )
}

fn nginx() -> PathBuf {
    PathBuf::from("/usr/sbin/nginx")
}

/// Returns whether nchan can be measured. Installs nchan with the package manager if nchan is
/// missing.
pub(super) fn have_nchan() -> bool {
    let is_present = || nginx().exists() && Path::new(NCHAN).exists();
    crate::tools::try_install(
        is_present,
        &["nginx-light", "libnginx-mod-nchan"],
        "to measure against nchan",
    )
}

/// Returns an address that was free a moment ago.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
