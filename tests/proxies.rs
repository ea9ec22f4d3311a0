//! nginx and HAProxy with the configuration of the guide, and a page behind a proxy with another
//! configuration.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};

use crate::client::Reader;
use crate::clients::{browser, node, tool};
use crate::guides::block;
use crate::server::{TOKEN, TestServer, eventually};

/// A proxy in front of a server. Dropping the value stops the proxy.
struct Proxy {
    child: Child,
    url: String,
    folder: TempDir,
}

/// Address of the server in the guide.
const UPSTREAM: &str = "127.0.0.1:8080";

impl Proxy {
    /// Starts nginx with the `server` block of the guide.
    async fn nginx(program: &str, server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let example = block("running.md", "nginx").replace(UPSTREAM, address(server));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {path}/{what};\n"))
            .concat();
        // The workers run as the same user, so that they can reach the folder.
        let user = if rustix::process::getuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let settings = format!(
            "daemon off; {user} pid {path}/pid;\nevents {{}}\nhttp {{ access_log {path}/access;\n{temporary}\
             server {{ listen unix:{path}/socket;\n{example}}} }}"
        );
        std::fs::write(folder.path().join("settings"), settings).unwrap();
        let mut command = Command::new(program);
        command
            .arg("-e")
            .arg(folder.path().join("errors"))
            .arg("-c")
            .arg(folder.path().join("settings"));
        Self::start(command, folder).await
    }

    /// Starts HAProxy with the whole configuration of the guide.
    async fn haproxy(program: &str, server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let example = block("running.md", "haproxy")
            .replace(UPSTREAM, address(server))
            .replace("bind :80", &format!("bind unix@{path}/socket"))
            .replace("/etc/haproxy", &path.to_string());
        std::fs::write(folder.path().join("settings"), example).unwrap();
        std::fs::write(folder.path().join("away.http"), block("running.md", "http")).unwrap();
        let mut command = Command::new(program);
        command
            .args(["-db", "-f"])
            .arg(folder.path().join("settings"));
        Self::start(command, folder).await
    }

    /// Starts the proxy and forwards a TCP port to it. Neither proxy can report a port that the
    /// system chose.
    async fn start(mut command: Command, folder: TempDir) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let socket = folder.path().join("socket");
        eventually(async || UnixStream::connect(&socket).await.is_ok()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let socket = socket.clone();
                tokio::spawn(async move {
                    let mut proxy = UnixStream::connect(socket).await?;
                    copy_bidirectional(&mut client, &mut proxy).await
                });
            }
        });
        Self { child, url, folder }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A master process that receives a signal to stop also stops its workers.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn address(server: &TestServer) -> &str {
    server.public.trim_start_matches("http://")
}

/// Checks everything that the guide promises of a proxy. Streams pass without delay, and bodies of
/// any length are accepted. While the server is down, streams receive the response that browsers
/// need.
async fn keeps_its_promises(proxy: &Proxy, folder: &Path, server: TestServer) {
    let http = server.http.clone();
    let stream = format!("{}/v1/stream?symbols=A&mode=all", proxy.url);
    server.publish(&[("A", "1")]).await;
    let mut reader = Reader::get(&http, &stream).await;
    assert_eq!(
        reader.until(|event| event.event == "tick").await.event,
        "tick"
    );
    let last = reader.until(|event| event.event == "ready").await.id;

    let pad = "x".repeat(900);
    let lines: String = (0..3_000)
        .map(|n| format!("{{\"symbol\":\"B\",\"price\":{n},\"pad\":\"{pad}\"}}\n"))
        .collect();
    assert!(lines.len() > 2 << 20);
    let publish = http
        .post(format!("{}/v1/prices", proxy.url))
        .bearer_auth(TOKEN);
    let answer = publish
        .header("content-type", "application/x-ndjson")
        .body(lines)
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["accepted"], 3_000, "{answer}");

    let url = server.public.clone();
    server.kill();
    for path in ["/v1/stream?symbols=A", "/prices/stream"] {
        let away = http
            .get(format!("{}{path}", proxy.url))
            .header("origin", "https://shop.example");
        let away = away.send().await.unwrap();
        assert_eq!(away.status(), 200, "{path}");
        assert_eq!(away.headers()["content-type"], "text/event-stream");
        assert_eq!(away.headers()["access-control-allow-origin"], "*");
        assert_eq!(away.text().await.unwrap().trim_end(), "retry: 3000\n: away");
    }
    let other = http
        .get(format!("{}/v1/prices", proxy.url))
        .send()
        .await
        .unwrap();
    assert!(other.status().is_server_error(), "{}", other.status());

    let server = TestServer::restarted(folder, &url);
    server.publish(&[("A", "2")]).await;
    let mut reader = Reader::send(http.get(&stream).header("last-event-id", last)).await;
    let tick = reader.until(|event| event.event == "tick").await;
    assert_eq!(crate::client::raw_field(&tick.data, "price"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_works_as_documented() {
    let Some(program) = tool("XTASK_NGINX", "proxies::nginx_works_as_documented") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let proxy = Proxy::nginx(&program, &server).await;
    keeps_its_promises(&proxy, folder.path(), server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_works_as_documented() {
    let Some(program) = tool("XTASK_HAPROXY", "proxies::haproxy_works_as_documented") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let proxy = Proxy::haproxy(&program, &server).await;
    keeps_its_promises(&proxy, folder.path(), server).await;
}

/// The page of the guide in Chromium.
struct Page {
    child: Child,
    stdout: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Page {
    fn open((packages, chromium): &(String, String), url: &str) -> Self {
        let page = block("pages.md", "html").replace("http://localhost:8080", url);
        let mut command = node(packages, "guide.mjs");
        command.args([&page, chromium]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdout }
    }

    /// Waits until the page shows `price`. Returns how many `EventSource` objects the page has
    /// created.
    fn expect(&mut self, price: &str) -> usize {
        writeln!(self.child.stdin.as_mut().unwrap(), "{price}").unwrap();
        self.stdout.next().unwrap().unwrap().parse().unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Checks that the browser reconnects by itself with the same `EventSource`.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_reconnects_through_nginx() {
    let test = "proxies::chromium_reconnects_through_nginx";
    let Some((program, tools)) = tool("XTASK_NGINX", test).zip(browser(test)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let proxy = Proxy::nginx(&program, &server).await;
    server.publish(&[("AAPL", "189.50")]).await;
    let mut page = Page::open(&tools, &proxy.url);
    assert_eq!(page.expect("189.50"), 1);
    let url = server.public.clone();
    server.kill();
    // The stream of the page has ended, the browser has reconnected, and nginx has answered in
    // place of the server.
    let log = proxy.folder.path().join("access");
    let answered = || {
        std::fs::read_to_string(&log)
            .unwrap()
            .matches("GET /v1/stream")
            .count()
    };
    eventually(async || answered() > 1).await;
    let server = TestServer::restarted(folder.path(), &url);
    server.publish(&[("AAPL", "190.10")]).await;
    assert_eq!(page.expect("190.10"), 1);
}

/// Checks that the page creates another `EventSource` if a proxy answers 502 itself.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_reconnects_after_a_502() {
    let Some(tools) = browser("proxies::chromium_reconnects_after_a_502") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    server.publish(&[("AAPL", "189.50")]).await;
    let mut page = Page::open(&tools, &url);
    assert_eq!(page.expect("189.50"), 1);
    server.kill();
    let bad_gateway = BadGateway::of(&url).await;
    bad_gateway.wait_for_request().await;
    bad_gateway.end().await;
    let server = TestServer::restarted(folder.path(), &url);
    server.publish(&[("AAPL", "190.10")]).await;
    assert!(page.expect("190.10") > 1);
}

/// A listener that answers 502 on the address of a stopped server, until its end.
struct BadGateway {
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl BadGateway {
    async fn of(url: &str) -> Self {
        let listener = TcpListener::bind(url.trim_start_matches("http://"))
            .await
            .unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let answer =
                b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            while let Ok((mut client, _)) = listener.accept().await {
                if client
                    .read(&mut [0; 4096])
                    .await
                    .is_ok_and(|length| length > 0)
                {
                    let _ = client.write_all(answer).await;
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { requests, task }
    }

    /// Waits until at least one client has received a 502.
    async fn wait_for_request(&self) {
        eventually(async || self.requests.load(Ordering::SeqCst) > 0).await;
    }

    /// Frees the address.
    async fn end(self) {
        self.task.abort();
        // The listener is closed once the task has ended.
        let _ = self.task.await;
    }
}
