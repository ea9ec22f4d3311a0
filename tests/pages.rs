//! The pages in a real browser: what is shown of prices, wherever and however wide the pages are.

use crate::clients::{browser, page, succeed};
use crate::server::{TestServer, eventually};

/// Sends datagrams to the server's source until these symbols have prices.
async fn priced(server: &TestServer, lines: &str, symbols: &[&str]) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.datagrams();
    eventually(async || {
        socket.send_to(lines.as_bytes(), &address).await.unwrap();
        let (_, told) = server.get("/v1/prices").await;
        let told = told["prices"].as_array().unwrap();
        symbols.iter().all(|symbol| told.iter().any(|price| price["symbol"] == *symbol))
    })
    .await;
}

/// The dashboard's checks once more, behind a proxy that serves it below a path and nothing beside that.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_shows_the_dashboard_below_a_path() {
    let test = "pages::chromium_shows_the_dashboard_below_a_path";
    let Some((packages, chromium)) = browser(test) else { return };
    let server = TestServer::with(&["--source", "sim"]);
    let mut command = page(&packages, "dashboard.mjs");
    command.args([&server.public, &chromium, "below"]);
    let said = succeed(command).await;
    assert!(said.contains("ok   nothing is asked for beside the path"), "{said}");
}

/// Tickers on one page, some of which ask for nonsense, at the root and below a path.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_keeps_tickers_of_a_page_apart() {
    let test = "pages::chromium_keeps_tickers_of_a_page_apart";
    let Some((packages, chromium)) = browser(test) else { return };
    let server = TestServer::with(&["--source", "udp:127.0.0.1:0?stale_after=1s"]);
    let lines: String =
        ["A", "B", "C"].map(|name| format!("{{\"symbol\":\"{name}\",\"price\":1.50}}\n")).concat();
    priced(&server, &lines, &["A", "B", "C"]).await;
    let mut command = page(&packages, "tickers.mjs");
    command.args([&server.public, &chromium, "stale"]);
    succeed(command).await;
}
