//! Real clients: how common SSE clients parse the bytes of the server. `cargo xtask test` installs
//! the clients and passes their paths.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tickcast::{Hub, Tick};

use crate::server::TestServer;

/// Returns the value of a variable that `cargo xtask test` sets if it could install the tool for a
/// test. If the variable is not set, the test is skipped and listed by name.
pub(crate) fn tool(name: &str, test: &str) -> Option<String> {
    let found = std::env::var(name).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        fakes::skipped(test, &format!("{name} is not set"));
    }
    found
}

/// Checks the events that a client reads from ten ticks with quiet periods between them. Only
/// comments keep the stream open meanwhile (keep-alive).
async fn read_with(mut command: Command) {
    let hub = Hub::builder().keep_alive(Duration::from_millis(20)).build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prices/stream", listener.local_addr().unwrap());
    tokio::spawn(tickcast::serve(listener, hub.router()).into_future());
    publish(&hub, 1);
    command
        .args([url.as_str(), "10"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let reading = tokio::task::spawn_blocking(move || command.output().unwrap());
    crate::server::eventually(async || hub.stats().streams == 1).await;
    for n in 2..=10 {
        let quiet = hub.stats().bytes_sent;
        crate::server::eventually(async || hub.stats().bytes_sent > quiet + 24).await;
        publish(&hub, n);
    }
    let output = reading.await.unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let seen: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(seen.len(), 10);
    for (i, event) in seen.iter().enumerate() {
        assert_eq!(
            (&event[0], &event[1]),
            (&json!("tick"), &json!("BRK.B")),
            "{event}"
        );
        let data: Value = serde_json::from_str(event[2].as_str().unwrap()).unwrap();
        assert_eq!(
            (&data["n"], &data["note"]),
            (&json!(i + 1), &json!("a\u{2028}b"))
        );
    }
}

fn publish(hub: &Hub, n: u64) {
    let tick = format!("{{\"symbol\":\"BRK.B\",\"price\":{n},\"note\":\"a\u{2028}b\"}}");
    hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
        .unwrap();
}

fn script(program: &str, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(format!(
        "{}/../../tests/clients/{name}",
        env!("CARGO_MANIFEST_DIR")
    ));
    command
}

/// Returns a command that runs a script with Node. Scripts look for their packages in their own
/// directory, so this runs a copy beside the packages.
pub(crate) fn node(packages: &str, name: &str) -> Command {
    let copy = std::path::Path::new(packages).join(name);
    let original = format!("{}/../../tests/clients/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(original, &copy).unwrap();
    let mut command = Command::new("node");
    command.arg(copy);
    command
}

/// Returns the directory of the packages that drive the browser, and the path of the browser.
pub(crate) fn browser(test: &str) -> Option<(String, String)> {
    tool("XTASK_NODE", test).zip(tool("XTASK_CHROMIUM", test))
}

/// Returns a command that runs a script for the pages. These scripts look for their packages in the
/// current directory.
pub(crate) fn page(packages: &str, name: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(format!(
            "{}/../../web/test/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .current_dir(packages);
    command
}

/// A script of `web/test` that reads, line by line, what the page must show.
pub(crate) struct PageScript {
    script: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl PageScript {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut script = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = script.stdin.take().unwrap();
        let stdout = BufReader::new(script.stdout.take().unwrap()).lines();
        Self {
            script,
            stdin,
            stdout,
        }
    }

    /// Waits until the page shows `what`.
    pub(crate) fn expect(&mut self, what: &str) {
        assert_eq!(self.send(what), "ok");
    }

    /// Stops the script and returns everything that the script saw.
    pub(crate) fn end(mut self) -> Value {
        let result = serde_json::from_str(&self.send("end")).unwrap();
        assert!(self.script.wait().unwrap().success());
        result
    }

    fn send(&mut self, what: &str) -> String {
        writeln!(self.stdin, "{what}").unwrap();
        self.stdout.next().unwrap().unwrap()
    }
}

/// Runs a program that must succeed and returns its output.
pub(crate) async fn succeed(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn python_httpx_sse_reads_every_tick() {
    let Some(python) = tool("XTASK_PYTHON", "clients::python_httpx_sse_reads_every_tick") else {
        return;
    };
    let mut command = script(&python, "read.py");
    command.arg("httpx-sse");
    read_with(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sseclient_py_reads_every_tick() {
    let Some(python) = tool(
        "XTASK_PYTHON",
        "clients::python_sseclient_py_reads_every_tick",
    ) else {
        return;
    };
    let mut command = script(&python, "read.py");
    command.arg("sseclient-py");
    read_with(command).await;
}

/// Tests every route of `/openapi.json` with its examples, its edge cases and random requests. The
/// server may give only described responses. Streams have no end, so other tests read them.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_only_described_responses() {
    let Some(python) = tool(
        "XTASK_PYTHON",
        "clients::schemathesis_finds_only_described_responses",
    ) else {
        return;
    };
    let server = TestServer::with(&["--source", "sim"]);
    server.publish(&[("AAPL", "189.50")]).await;
    let stream = format!("{}/v1/stream?symbols=AAPL", server.public);
    let mut reader = crate::client::Reader::get(&server.http, &stream).await;
    let name = reader.stream().await;
    let token = format!("Authorization: Bearer {}", crate::server::TOKEN);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::path::Path::new(&python).with_file_name("schemathesis"));
    command.args([
        "--config-file",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/clients/schemathesis.toml"
        ),
    ]);
    command.args([
        "run",
        &format!("{}/openapi.json", server.public),
        "--header",
        &token,
        "--no-color",
    ]);
    command.args([
        "--exclude-path-regex",
        "stream$",
        "--max-examples",
        "30",
        "--seed",
        "1",
    ]);
    // An invalid tick is listed in the response; the request as a whole is not refused.
    command.args(["--exclude-checks", "negative_data_rejection"]);
    command.env(
        "SCHEMATHESIS_HOOKS",
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/clients/described.py"
        ),
    );
    command.env("STREAM", name).current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("Selected: 13/16"),
        "{stdout}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_eventsource_reads_every_tick() {
    let Some(packages) = tool("XTASK_NODE", "clients::npm_eventsource_reads_every_tick") else {
        return;
    };
    read_with(node(&packages, "read.mjs")).await;
}

/// Tests the dashboard, its tabs and the widget. `web/test/dashboard.mjs` prints one line for each
/// check.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_dashboard_passes_its_checks() {
    let test = "clients::chromium_dashboard_passes_its_checks";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "sim"]);
    let mut command = page(&packages, "dashboard.mjs");
    command.args([&server.public, &chromium]);
    let stdout = succeed(command).await;
    assert!(
        stdout
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count()
            > 20
            && !stdout.contains("--  "),
        "{stdout}"
    );
}

/// Tests the pages of a server that wants tokens: the sign-in, delayed prices, and a widget whose
/// website prepares its streams.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_signs_in_and_shows_delayed_prices() {
    use crate::tokens::{SECRET, file, path};
    let test = "clients::chromium_signs_in_and_shows_delayed_prices";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let config = file(&format!(
        "[access]\nreaders = \"token\"\ncookie = \"tickcast\"\ndelays = [2]\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ));
    let server = TestServer::with(&["--source", "sim", "--config", path(&config)]);
    let open = TestServer::with(&["--source", "sim"]);
    let mut command = page(&packages, "sign-in.mjs");
    command.args([&server.public, &chromium, SECRET, "2", &open.public]);
    let stdout = succeed(command).await;
    let passed = stdout.lines().filter(|line| line.starts_with("ok "));
    assert!(passed.count() > 20 && !stdout.contains("FAIL"), "{stdout}");
}

/// Tests the dashboard over HTTPS, with an authority that the browser trusts, and six tabs over one
/// HTTP/2 connection.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_reads_six_streams_over_one_https_connection() {
    let test = "clients::chromium_reads_six_streams_over_one_https_connection";
    let (Some((packages, chromium)), Some(_)) = (browser(test), tool("XTASK_CERTUTIL", test))
    else {
        return;
    };
    let authority = crate::tls::Authority::new();
    let (cert, key) = authority.issue("own", &["localhost"]);
    let server = TestServer::with(&["--source", "sim", "--tls-cert", &cert, "--tls-key", &key]);
    let url = server.public.replace("127.0.0.1", "localhost");
    let ca = authority.path("ca.pem").to_str().unwrap().to_owned();
    let mut command = page(&packages, "https.mjs");
    command.args([&url, &chromium, &ca]);
    let stdout = succeed(command).await;
    let passed = stdout.lines().filter(|line| line.starts_with("ok "));
    assert!(passed.count() > 6 && !stdout.contains("FAIL"), "{stdout}");
}

/// Checks that 250,000 updates leave no data behind. `web/test/endurance.mjs` runs for the given
/// time.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_memory_stays_bounded_over_many_updates() {
    let test = "clients::chromium_memory_stays_bounded_over_many_updates";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "sim?rate=5000"]);
    let mut command = page(&packages, "endurance.mjs");
    command.args([&server.public, &chromium, "40000", "6"]);
    succeed(command).await;
}

/// Tests what users see when a source becomes silent and the server stops. `web/test/bad-times.mjs`
/// reads what it must wait for.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_shows_stale_prices_and_lost_connections() {
    let test = "clients::chromium_shows_stale_prices_and_lost_connections";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(
        folder.path(),
        &["--source", "udp:127.0.0.1:0?stale_after=2s"],
    );
    let url = server.public.clone();
    let address = server.datagrams();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let first = b"{\"symbol\":\"A\",\"price\":0.10}\n{\"symbol\":\"B\",\"price\":5}\n";
    socket.send_to(first, &address).await.unwrap();

    let mut command = page(&packages, "bad-times.mjs");
    command.args([&url, &chromium]);
    let mut page_script = PageScript::start(command);
    let mut expect = |what: &str| page_script.expect(what);
    expect("price A 0.10");
    expect("state A stale");
    expect("panel 0.10 stale");
    expect("fresh A stale");
    // Send the tick repeatedly: otherwise a slow page would find the symbol stale again.
    let ticking = tokio::spawn(async move {
        loop {
            socket
                .send_to(b"{\"symbol\":\"A\",\"price\":0.20}\n", &address)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    expect("price A 0.20");
    expect("state A live");
    expect("panel 0.20 live");
    ticking.abort();
    server.kill();
    expect("connection lost");
    expect("price A 0.20");
    let server = TestServer::restarted(folder.path(), &url);
    expect("connection live");
    server.publish(&[("A", "0.30")]).await;
    expect("price A 0.30");
    expect("state A live");
    expect("price B 5");
    let result = page_script.end();
    // The values that the page shows when it opens are not changes. All later values are changes.
    let shown_prices: Vec<_> = result["shown"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|text| **text != "—")
        .collect();
    assert_eq!(
        (&result["rows"], &result["errors"]),
        (&json!(["A", "B"]), &json!([])),
        "{result}"
    );
    assert_eq!(shown_prices, ["0.10", "0.20", "0.30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_reads_the_simple_stream_without_errors() {
    let test = "clients::chromium_reads_the_simple_stream_without_errors";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "sim"]);
    let mut command = node(&packages, "page.mjs");
    command
        .args([&server.public, &chromium])
        .stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&result["errors"], &result["externalRequests"]),
        (&json!([]), &json!([]))
    );
    for event in result["events"].as_array().unwrap() {
        assert_eq!((&event[0], &event[1]), (&json!("tick"), &event[2]));
    }
    assert_eq!(&result["events"][0][2], "AAPL");
}

/// Tests the EventSource of the browser while the server is killed and stopped under load.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_receives_every_tick_across_restarts() {
    let test = "clients::chromium_receives_every_tick_across_restarts";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish_until(url.clone(), Arc::clone(&stop)));
    let mut command = node(&packages, "resume.mjs");
    command
        .args([&url, &chromium])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut page = command.spawn().unwrap();
    let mut stdin = page.stdin.take().unwrap();
    let mut stdout = BufReader::new(page.stdout.take().unwrap()).lines();
    assert_eq!(stdout.next().unwrap().unwrap(), "ready");
    for restart in 1..=3 {
        if restart == 2 {
            server.end();
        } else {
            server.kill();
        }
        server = TestServer::restarted(folder.path(), &url);
        writeln!(stdin, "ready {}", restart + 1).unwrap();
        assert_eq!(stdout.next().unwrap().unwrap(), "ready");
    }
    stop.store(true, Ordering::SeqCst);
    publishing.await.unwrap();
    let last = server.get("/v1/prices/A").await.1["n"].as_u64().unwrap();
    writeln!(stdin, "last {last}").unwrap();
    drop(stdin);
    let result: Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
    assert!(page.wait().unwrap().success());
    let expected =
        json!({"last": last, "gaps": [], "duplicates": [], "resets": 0, "ready": 4, "resumed": 3});
    assert_eq!(result, expected);
}

/// Publishes until `stop` is set, whether the server runs or not.
async fn publish_until(url: String, stop: Arc<AtomicBool>) {
    let http = reqwest::Client::new();
    for n in 0u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let lines: String = (0..10)
            .map(|i| format!("{{\"symbol\":\"A\",\"price\":{n}.{i}}}\n"))
            .collect();
        let request = http
            .post(format!("{url}/v1/prices"))
            .bearer_auth(crate::server::TOKEN);
        let _ = request
            .header("content-type", "application/x-ndjson")
            .body(lines)
            .send()
            .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
