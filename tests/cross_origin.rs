//! Pages of other origins: what the server allows them to request, and what not.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::clients::{browser, node};
use crate::server::TestServer;

/// Returns the headers that a page of another origin may send to `path`, as the preflight response
/// lists them.
async fn allowed(server: &TestServer, path: &str, method: &str, headers: &str) -> Vec<String> {
    let preflight = server
        .http
        .request(Method::OPTIONS, format!("{}{path}", server.public))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let allowed = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    allowed
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

#[tokio::test]
async fn a_fetch_client_may_send_its_last_event_id() {
    let server = TestServer::start();
    for path in ["/v1/stream?symbols=A", "/prices/stream"] {
        let allowed = allowed(&server, path, "GET", "last-event-id").await;
        for header in ["last-event-id", "cache-control", "accept", "content-type"] {
            assert!(
                allowed.iter().any(|name| name == header),
                "{path}: {header} is not in {allowed:?}"
            );
        }
    }
}

/// Checks that no preflight allows the `authorization` header. A `POST` needs no preflight
/// permission, but without that header the token is missing.
#[tokio::test]
async fn cross_origin_pages_cannot_send_a_token() {
    let server = TestServer::start();
    for (path, method) in [
        ("/v1/prices", "POST"),
        ("/v1/prices/A", "DELETE"),
        ("/v1/stream", "GET"),
    ] {
        let allowed = allowed(&server, path, method, "authorization,content-type").await;
        assert!(
            !allowed
                .iter()
                .any(|name| name == "authorization" || name == "*"),
            "{path}: {allowed:?}"
        );
    }
}

/// Checks that a page cannot request a reload. A page can send a `POST` to the machine of an
/// operator, although the page cannot read the response.
#[tokio::test]
async fn cross_origin_pages_cannot_request_a_reload() {
    let server = TestServer::start();
    let reload_status = async |name: &'static str, value: &'static str| {
        let reload = server
            .http
            .post(format!("{}/reload", server.admin))
            .header(name, value);
        reload.send().await.unwrap().status().as_u16()
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(reload_status(name, value).await, 403, "{name}: {value}");
    }
    assert!(!server.log().contains("reloaded"));
    assert_eq!(reload_status("user-agent", "curl").await, 200);
}

/// Tests a reader that uses `fetch` on a page of another origin, across a restart.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_fetch_client_resumes_across_origins_and_restarts() {
    let test = "cross_origin::chromium_fetch_client_resumes_across_origins_and_restarts";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Another port is another origin.
    let elsewhere = TestServer::start();
    let server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    server.publish(&[("A", "1")]).await;
    let mut command = node(&packages, "fetch.mjs");
    command.args([&elsewhere.public, &url, &chromium]);
    let mut page = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = page.stdin.take().unwrap();
    let mut stdout = BufReader::new(page.stdout.take().unwrap()).lines();
    let mut expect = |prices: Value| {
        writeln!(stdin, "{}", prices.as_array().unwrap().len()).unwrap();
        let result: Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
        assert_eq!(result["prices"], prices, "{result}");
        result["resumed"].clone()
    };
    assert_eq!(expect(json!([1])), json!([false]));
    server.kill();
    let server = TestServer::restarted(folder.path(), &url);
    server.publish(&[("A", "2")]).await;
    assert_eq!(expect(json!([1, 2])), json!([false, true]));
    drop(stdin);
    assert!(page.wait().unwrap().success());
}
