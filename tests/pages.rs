//! The pages in a real browser: how they show prices, at any path and any width.

use serde_json::json;

use crate::clients::{PageScript, browser, page, succeed};
use crate::server::{TestServer, eventually};

/// Sends datagrams to the UDP source of the server until all `symbols` have prices.
async fn priced(server: &TestServer, lines: &str, symbols: &[&str]) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.datagrams();
    eventually(async || {
        socket.send_to(lines.as_bytes(), &address).await.unwrap();
        let (_, response) = server.get("/v1/prices").await;
        let response = response["prices"].as_array().unwrap();
        symbols
            .iter()
            .all(|symbol| response.iter().any(|price| price["symbol"] == *symbol))
    })
    .await;
}

/// Runs the checks of the dashboard behind a proxy that serves the dashboard only below a path.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_dashboard_passes_its_checks_below_a_path() {
    let test = "pages::chromium_dashboard_passes_its_checks_below_a_path";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "sim"]);
    let mut command = page(&packages, "dashboard.mjs");
    command.args([&server.public, &chromium, "below"]);
    let stdout = succeed(command).await;
    assert!(
        stdout.contains("ok   every request is below the path"),
        "{stdout}"
    );
}

/// Tests prices of every length at widths from a phone to a wall display. `web/test/numbers.mjs`
/// reads the prices from the page layout.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_shows_whole_numbers_at_any_width() {
    let test = "pages::chromium_shows_whole_numbers_at_any_width";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "udp:127.0.0.1:0?stale_after=0s"]);
    let lines = r#"{"symbol":"BIG","price":12345678901234567890.12345678,"prev_close":0.00000001,"bid":12345678901234567890.12345677,"ask":12345678901234567890.12345679}
{"symbol":"TINY","price":-0.0000000000000000000000000034,"prev_close":0.0000000000000000000000000031}
{"symbol":"BTC-KRW","price":143250000,"prev_close":141000000,"bid":143240000,"ask":143260000}
{"symbol":"SHIB-ETH","price":0.00000823,"prev_close":0.00000830,"bid":0.00000822,"ask":0.00000824}
{"symbol":"PEPE-USDT","price":0.0000000000034,"prev_close":0.0000000000030,"bid":0.0000000000033,"ask":0.0000000000035}
{"symbol":"WTI-SPREAD","price":-37.63,"prev_close":18.27,"bid":-37.64,"ask":-37.62}
{"symbol":"A-NAME-AS-LONG-AS-ANY-CAN-BE-=32","price":97057.03}
"#;
    let symbols = [
        "BIG",
        "TINY",
        "BTC-KRW",
        "SHIB-ETH",
        "PEPE-USDT",
        "WTI-SPREAD",
        "A-NAME-AS-LONG-AS-ANY-CAN-BE-=32",
    ];
    priced(&server, lines, &symbols).await;
    let mut command = page(&packages, "numbers.mjs");
    command.args([&server.public, &chromium]).args(symbols);
    let stdout = succeed(command).await;
    assert!(
        stdout
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count()
            > 80,
        "{stdout}"
    );
}

/// Tests several tickers on one page, some with invalid attributes, at the root and below a path.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_tickers_on_one_page_are_independent() {
    let test = "pages::chromium_tickers_on_one_page_are_independent";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::with(&["--source", "udp:127.0.0.1:0?stale_after=1s"]);
    let lines: String = ["A", "B", "C"]
        .map(|name| format!("{{\"symbol\":\"{name}\",\"price\":1.50}}\n"))
        .concat();
    priced(&server, &lines, &["A", "B", "C"]).await;
    let mut command = page(&packages, "tickers.mjs");
    command.args([&server.public, &chromium, "stale"]);
    succeed(command).await;
}

/// Checks that an open page drops its prices when the server restarts without its tape, because
/// that server has no prices.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_drops_prices_of_an_earlier_epoch() {
    let test = "pages::chromium_drops_prices_of_an_earlier_epoch";
    let Some((packages, chromium)) = browser(test) else {
        return;
    };
    let server = TestServer::start();
    let url = server.public.clone();
    server.publish(&[("A", "0.10"), ("B", "5")]).await;
    let mut command = page(&packages, "bad-times.mjs");
    command.args([&url, &chromium]);
    let mut page_script = PageScript::start(command);
    let mut expect = |what: &str| page_script.expect(what);
    expect("price A 0.10");
    server.kill();
    expect("connection lost");
    let server = TestServer::restarted_empty(&url);
    expect("connection live");
    expect("price A —");
    expect("panel — unknown");
    server.publish(&[("A", "0.30")]).await;
    expect("price A 0.30");
    expect("panel 0.30 live");
    let result = page_script.end();
    assert_eq!(
        (&result["rows"], &result["errors"]),
        (&json!(["A", "B"]), &json!([])),
        "{result}"
    );
}
