//! `tickcast watch` in a pipe, and on a terminal.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::clients::tool;
use crate::server::{TestServer, eventually, tickcast};

/// A terminal without a screen: its own tmux server.
struct Terminal {
    tmux: String,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Opens a terminal that runs `watch`.
    fn watching(tmux: String, url: &str) -> Self {
        let terminal = Self {
            tmux,
            folder: tempfile::tempdir().unwrap(),
        };
        let command = format!(
            "{} watch --url {url}; echo ended with $?; cat",
            env!("CARGO_BIN_EXE_tickcast")
        );
        terminal.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "110",
            "-y",
            "20",
            &command,
        ]);
        terminal
    }

    fn run(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("tmux");
        let output = Command::new(&self.tmux)
            .arg("-S")
            .arg(socket)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Waits until `shows` is true for the text of the terminal.
    async fn until(&self, shows: impl Fn(&str) -> bool) {
        eventually(async || shows(&self.run(&["capture-pane", "-p"]))).await;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder.path().join("tmux");
        let _ = Command::new(&self.tmux)
            .arg("-S")
            .arg(socket)
            .arg("kill-server")
            .output();
    }
}

/// Returns the symbols from top to bottom.
fn symbols(screen: &str) -> Vec<&str> {
    let first = screen
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    first
        .filter(|word| ["AAPL", "BTC", "KO"].contains(word))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_shows_sorts_filters_and_reconnects() {
    let Some(tmux) = tool(
        "XTASK_TMUX",
        "watch::the_terminal_shows_sorts_filters_and_reconnects",
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    server
        .publish(&[
            ("AAPL", "189.50"),
            ("BTC", "97000"),
            ("KO", "70.10"),
            ("KO", "70.20"),
        ])
        .await;
    let terminal = Terminal::watching(tmux, &url);
    terminal
        .until(|screen| screen.contains("● live") && symbols(screen) == ["AAPL", "BTC", "KO"])
        .await;
    terminal
        .until(|screen| screen.contains("189.50") && screen.contains("+0.10"))
        .await;
    terminal.press(&["r"]);
    terminal
        .until(|screen| symbols(screen) == ["KO", "BTC", "AAPL"])
        .await;
    terminal.press(&["r", "s"]);
    terminal
        .until(|screen| screen.contains("sorted by change") && symbols(screen)[0] == "KO")
        .await;
    terminal.press(&["/", "k", "o", "Enter"]);
    terminal
        .until(|screen| symbols(screen) == ["KO"] && screen.contains("filter: ko"))
        .await;
    terminal.press(&["Escape"]);
    terminal.until(|screen| symbols(screen).len() == 3).await;
    terminal.run(&["resize-window", "-x", "60", "-y", "12"]);
    terminal
        .until(|screen| !screen.contains("trend") && symbols(screen).len() == 3)
        .await;
    server.kill();
    terminal
        .until(|screen| {
            screen.contains("○ not connected: the connection to") && screen.contains("189.50")
        })
        .await;
    let server = TestServer::restarted(folder.path(), &url);
    terminal.until(|screen| screen.contains("● live")).await;
    server.publish(&[("AAPL", "190.25")]).await;
    terminal.until(|screen| screen.contains("190.25")).await;
    terminal.press(&["q"]);
    terminal
        .until(|screen| screen.contains("ended with 0"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_continue_after_a_restart_and_end_with_the_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    server.publish(&[("A", "0.10")]).await;
    let mut watch = tickcast(&["watch", "--json", "--url", &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(
        lines
            .next()
            .unwrap()
            .unwrap()
            .starts_with(r#"{"symbol":"A","price":0.10,"#)
    );
    server.end();
    let server = TestServer::restarted(folder.path(), &url);
    server.publish(&[("A", "0.20")]).await;
    let next = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines))
        .await
        .unwrap();
    assert!(
        next.0.starts_with(r#"{"symbol":"A","price":0.20,"#),
        "{}",
        next.0
    );
    // A reader closes the pipe when it has read enough. `watch` notices the close without a new
    // line, and exits without an error.
    drop(next.1);
    let ended = tokio::task::spawn_blocking(move || watch.wait().unwrap());
    assert!(ended.await.unwrap().success());
}

#[tokio::test]
async fn plain_lines_show_the_change_with_its_sign() {
    let server = TestServer::start();
    server.publish(&[("A", "1.00"), ("A", "0.75")]).await;
    let mut watch = tickcast(&["watch", "--plain", "--url", &server.public, "A"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(watch.stdout.take().unwrap())
        .lines()
        .next()
        .unwrap()
        .unwrap();
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    assert_eq!(words, ["A", "0.75", "-0.25", "-25%"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[tokio::test]
async fn plain_output_explains_that_no_price_has_arrived() {
    let server = TestServer::start();
    server.publish(&[("BRK.B", "1.00")]).await;
    let mut watch = tickcast(&["watch", "--plain", "--url", &server.public, "brk.b"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = BufReader::new(watch.stderr.take().unwrap())
        .lines()
        .take(2)
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        lines,
        [
            "no price yet for the requested symbols; waiting",
            "brk.b is not on the market; did you mean BRK.B?"
        ]
    );
    watch.kill().unwrap();
    watch.wait().unwrap();

    let refused = tickcast(&["watch", "--plain", &server.public])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && stderr.contains("the address of a server with --url"),
        "{stderr}"
    );
}
