//! The pages in a real browser: what is shown of prices, wherever and however wide the pages are.

use serde_json::json;

use crate::clients::{Looker, browser, page, succeed};
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

/// Prices of every length at widths from a phone's to a wall's: `web/test/numbers.mjs` reads them back as they are laid out.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_cuts_no_number_at_any_width() {
    let test = "pages::chromium_cuts_no_number_at_any_width";
    let Some((packages, chromium)) = browser(test) else { return };
    let server = TestServer::with(&["--source", "udp:127.0.0.1:0?stale_after=0s"]);
    let lines = r#"{"symbol":"BIG","price":12345678901234567890.12345678,"prev_close":0.00000001,"bid":12345678901234567890.12345677,"ask":12345678901234567890.12345679}
{"symbol":"TINY","price":-0.0000000000000000000000000034,"prev_close":0.0000000000000000000000000031}
{"symbol":"BTC-KRW","price":143250000,"prev_close":141000000,"bid":143240000,"ask":143260000}
{"symbol":"SHIB-ETH","price":0.00000823,"prev_close":0.00000830,"bid":0.00000822,"ask":0.00000824}
{"symbol":"PEPE-USDT","price":0.0000000000034,"prev_close":0.0000000000030,"bid":0.0000000000033,"ask":0.0000000000035}
{"symbol":"WTI-SPREAD","price":-37.63,"prev_close":18.27,"bid":-37.64,"ask":-37.62}
{"symbol":"A-NAME-AS-LONG-AS-ANY-CAN-BE-=32","price":97057.03}
"#;
    let symbols =
        ["BIG", "TINY", "BTC-KRW", "SHIB-ETH", "PEPE-USDT", "WTI-SPREAD", "A-NAME-AS-LONG-AS-ANY-CAN-BE-=32"];
    priced(&server, lines, &symbols).await;
    let mut command = page(&packages, "numbers.mjs");
    command.args([&server.public, &chromium]).args(symbols);
    let said = succeed(command).await;
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() > 80, "{said}");
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

/// A server that comes back without its tape knows of no price, and neither does a page that was open all along.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_forgets_the_prices_of_another_life() {
    let test = "pages::chromium_forgets_the_prices_of_another_life";
    let Some((packages, chromium)) = browser(test) else { return };
    let server = TestServer::start();
    let url = server.public.clone();
    server.publish(&[("A", "0.10"), ("B", "5")]).await;
    let mut command = page(&packages, "bad-times.mjs");
    command.args([&url, &chromium]);
    let mut looker = Looker::start(command);
    let mut see = |what: &str| looker.see(what);
    see("price A 0.10");
    server.kill();
    see("connection lost");
    let server = TestServer::anew(&url);
    see("connection live");
    see("price A —");
    see("panel — unknown");
    server.publish(&[("A", "0.30")]).await;
    see("price A 0.30");
    see("panel 0.30 live");
    let saw = looker.end();
    assert_eq!((&saw["rows"], &saw["complaints"]), (&json!(["A", "B"]), &json!([])), "{saw}");
}
