//! Pages of other origins: what the server allows them to request, and what not.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use reqwest::{Method, StatusCode};
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

/// Checks that the pages of the origins in the settings may read with the cookies of their
/// visitors, and no other pages.
#[tokio::test]
async fn pages_of_allowed_origins_may_read_with_a_cookie() {
    use crate::tokens::{SECRET, claims, file, path, signed};
    let config = file(&format!(
        "[access]\nreaders = \"token\"\ncookie = \"t\"\norigins = [\"https://app.example\"]\n[[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ));
    let server = TestServer::with(&["--source", "none", "--config", path(&config)]);
    let token = signed(SECRET, &claims(60, &json!({})));
    let from = async |origin: &'static str, method: Method| {
        let url = format!("{}/v1/prices", server.public);
        let request = server.http.request(method, url).header("origin", origin);
        let request = request.header("cookie", format!("t={token}"));
        let request = request.header("access-control-request-method", "GET");
        request
            .header("sec-fetch-site", "cross-site")
            .send()
            .await
            .unwrap()
    };
    for method in [Method::GET, Method::OPTIONS] {
        let own = from("https://app.example", method.clone()).await;
        assert_eq!(own.status(), 200, "{method}");
        assert_eq!(
            own.headers()["access-control-allow-origin"],
            "https://app.example"
        );
        assert_eq!(own.headers()["access-control-allow-credentials"], "true");
        let other = from("https://evil.example", method.clone()).await;
        assert!(!other.headers().contains_key("access-control-allow-origin"));
        assert_eq!(other.status() == 200, method == Method::OPTIONS);
    }
}

#[tokio::test]
async fn every_answer_has_headers_that_protect_browsers() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let admin = format!("{}/metrics", server.admin);
    let routes = [
        "/",
        "/docs",
        "/embed",
        "/openapi.json",
        "/v1/prices",
        "/v1/prices/NONE",
        "/v1/stream",
        "/no/route",
        "/healthz",
    ];
    let urls = routes
        .iter()
        .map(|route| format!("{}{route}", server.public));
    for url in urls.chain([admin]) {
        let answer = server.http.get(&url).send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{url}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{url}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{url}: {policy}");
        // A page that a browser already has keeps its policy.
        if let Some(etag) = headers.get("etag") {
            let again = server.http.get(&url).header("if-none-match", etag);
            let again = again.send().await.unwrap();
            assert_eq!(again.status(), 304, "{url}");
            assert_eq!(again.headers()["content-security-policy"], policy, "{url}");
        }
    }
}

/// The owner of a name can let it lead to the machine of an operator (DNS rebinding). A browser then
/// takes the answers for those of the page, and sends no header that tells.
#[tokio::test]
async fn another_name_does_not_lead_to_the_operators_listener() {
    let server = TestServer::start();
    for (host, allowed) in [
        ("localhost:9180", true),
        ("127.0.0.1", true),
        ("evil.example:9180", false),
        ("", false),
    ] {
        for route in ["/metrics", "/readyz", "/v1/streams"] {
            let url = format!("{}{route}", server.admin);
            let answer = server.http.get(url).header("host", host).send().await;
            let status = answer.unwrap().status();
            assert_eq!(
                status == StatusCode::FORBIDDEN,
                !allowed,
                "{host} {route}: {status}"
            );
        }
    }
}
