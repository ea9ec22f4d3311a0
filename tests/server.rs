//! The program, started for a test on its own ports and stopped with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Maximum time until a condition must hold. The value is long enough for a busy machine, and a
/// passing test does not wait that long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Publish token of the test servers.
pub(crate) const TOKEN: &str = "test-token";

/// A running server.
pub(crate) struct TestServer {
    child: Child,
    log: Arc<Log>,
    pub(crate) public: String,
    pub(crate) admin: String,
    pub(crate) http: reqwest::Client,
}

/// The lines that the program has written to standard error.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

/// Returns a command that runs the program with `arguments`. Settings from the environment of the
/// test are removed.
pub(crate) fn tickcast(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKCAST_"))
    {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG");
    command
}

/// Returns a command that starts a server on `address`, with a token and a log as JSON.
pub(crate) fn serving(address: &str) -> Command {
    let mut command = tickcast(&["serve", "--listen", address, "--admin", "127.0.0.1:0"]);
    command
        .args(["--log-format", "json", "--publish-token", TOKEN])
        .stdout(Stdio::null());
    command
}

impl TestServer {
    /// Starts a server whose only source is HTTP.
    pub(crate) fn start() -> Self {
        Self::with(&["--source", "none"])
    }

    /// Starts a server with `arguments` in addition to ports, token and log format.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::with_environment(arguments, &[])
    }

    /// Starts a server with `arguments` and with these environment variables.
    pub(crate) fn with_environment(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = serving("127.0.0.1:0");
        command.args(arguments).envs(environment.iter().copied());
        Self::launch(command)
    }

    /// Starts a server with its tape in `folder`.
    pub(crate) fn on_disk(folder: &Path, arguments: &[&str]) -> Self {
        let mut all = vec!["--source", "none", "--data", folder.to_str().unwrap()];
        all.extend(arguments);
        Self::with(&all)
    }

    /// Starts a server with its tape in `folder`, on the address of an earlier server.
    pub(crate) fn restarted(folder: &Path, url: &str) -> Self {
        let mut command = serving(url.trim_start_matches("http://"));
        command.args(["--source", "none", "--data"]).arg(folder);
        Self::launch(command)
    }

    /// Starts a server without a tape on the address of an earlier server: the new server knows no
    /// prices.
    pub(crate) fn restarted_empty(url: &str) -> Self {
        let mut command = serving(url.trim_start_matches("http://"));
        command.args(["--source", "none"]);
        Self::launch(command)
    }

    /// Kills the server without a warning (`SIGKILL`).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the server in order (`SIGTERM`).
    pub(crate) fn end(mut self) {
        self.signal("-TERM");
        assert!(self.wait().success());
    }

    /// Starts `command` and waits until the server listens.
    pub(crate) fn launch(mut command: Command) -> Self {
        // The test opens many streams and holds the other end of each.
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, writer) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.changed.notify_all();
            }
        });
        let listening = log.wait_for("listening on http");
        let listening: Value = serde_json::from_str(&listening).unwrap();
        let address = |name: &str| listening["fields"][name].as_str().unwrap().to_owned();
        let message = listening["fields"]["message"].as_str().unwrap();
        let public = message.trim_start_matches("listening on ").to_owned();
        let admin = format!("http://{}", address("admin"));
        // The pool keeps no idle connections: each reader has its own connection anyway.
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .read_timeout(TIMEOUT)
            .build()
            .unwrap();
        Self {
            child,
            log,
            public,
            admin,
            http,
        }
    }

    /// Waits for a line of the log that contains `text`, and returns the line.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// Returns the address on which the first source `udp` listens.
    pub(crate) fn datagrams(&self) -> String {
        let line = self.wait_for_log("listening for datagrams on ");
        line.split("datagrams on ")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes the standard input of the program, which must be a pipe.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until the program ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .http
            .get(format!("{}{path}", self.public))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Publishes a JSON text.
    pub(crate) async fn post(&self, json: &str) -> (u16, Value) {
        self.post_as("application/json", json.to_owned()).await
    }

    pub(crate) async fn post_as(&self, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/v1/prices", self.public))
            .bearer_auth(TOKEN)
            .header("content-type", kind);
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Publishes ticks, all of which must be accepted.
    pub(crate) async fn publish(&self, ticks: &[(&str, &str)]) {
        let lines: String = ticks
            .iter()
            .map(|(symbol, price)| format!("{{\"symbol\":\"{symbol}\",\"price\":{price}}}\n"))
            .collect();
        let (status, answer) = self.post_as("application/x-ndjson", lines).await;
        assert_eq!(
            (status, answer["accepted"].as_u64()),
            (200, Some(ticks.len() as u64)),
            "{answer}"
        );
    }

    /// Returns the value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let request = self.http.get(format!("{}/metrics", self.admin));
        let text = request.send().await.unwrap().text().await.unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }

    /// Waits until the number of open streams is `count`.
    pub(crate) async fn wait_for_streams(&self, count: u64) {
        eventually(async || self.get("/v1/status").await.1["streams"].as_u64() == Some(count))
            .await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn wait_for(&self, text: &str) -> String {
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let (guard, waited) = self.changed.wait_timeout(lines, TIMEOUT).unwrap();
            assert!(!waited.timed_out(), "no {text:?} in the log: {guard:?}");
            lines = guard;
        }
    }
}

/// Checks `condition` repeatedly until `condition` holds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, polling)
        .await
        .expect("the condition did not hold in time");
}
