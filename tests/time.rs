//! Ticks with impossible times, through the real program.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::server::{TestServer, eventually};

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

async fn post(server: &TestServer, price: &str, time: Option<u128>) -> Value {
    let time = time
        .map(|time| format!(",\"time\":{time}"))
        .unwrap_or_default();
    server
        .post(&format!("{{\"symbol\":\"HK\",\"price\":{price}{time}}}"))
        .await
        .1
}

#[tokio::test]
async fn a_tick_hours_ahead_of_the_clock_is_rejected_and_harmless() {
    let server = TestServer::start();
    post(&server, "10.0", Some(now_ms())).await;
    let refused = post(&server, "99", Some(now_ms() + 8 * 3_600_000))
        .await
        .to_string();
    assert!(
        refused.contains("is more than 60s ahead of the server's clock"),
        "{refused}"
    );
    // A time 30 seconds ahead is accepted and makes no later tick late.
    post(&server, "10.1", Some(now_ms() + 30_000)).await;
    let current = post(&server, "10.2", Some(now_ms())).await;
    assert_eq!(
        (&current["accepted"], &current["late"]),
        (&1.into(), &0.into()),
        "{current}"
    );
    post(&server, "10.3", None).await;
    let (_, price) = server.get("/v1/prices/HK").await;
    assert_eq!(
        (price["price"].as_f64(), price["change"].as_f64()),
        (Some(10.3), Some(0.3)),
        "{price}"
    );
    for interval in ["1s", "1m", "5m", "1h", "1d"] {
        let (_, candles) = server
            .get(&format!("/v1/candles/HK?interval={interval}"))
            .await;
        let candles = candles["candles"].as_array().unwrap();
        assert_eq!(
            candles.last().unwrap()["close"].as_f64(),
            Some(10.3),
            "{interval}: {candles:?}"
        );
        assert!(
            candles
                .iter()
                .all(|candle| candle["high"].as_f64() < Some(99.0)),
            "{interval}: {candles:?}"
        );
    }
}

#[tokio::test]
async fn published_prices_become_stale_after_the_configured_time() {
    let state = async |server: &TestServer| {
        server.get("/v1/symbols").await.1["symbols"][0]["state"].clone()
    };
    let never_stale = TestServer::with(&["--source", "none", "--stale-after", "0s"]);
    let soon_stale = TestServer::with(&["--source", "none", "--stale-after", "50ms"]);
    never_stale.publish(&[("FUND.NAV", "101.25")]).await;
    soon_stale.publish(&[("FUND.NAV", "101.25")]).await;
    eventually(async || state(&soon_stale).await == "stale").await;
    assert_eq!(state(&never_stale).await, "live");
}

#[tokio::test]
async fn a_named_publisher_becomes_stale_independently() {
    let server = TestServer::with(&["--source", "none", "--stale-after", "300ms"]);
    let post = async |symbol: &str, source: &str| {
        let url = format!("{}/v1/prices?source={source}", server.public);
        let tick = format!("{{\"symbol\":\"{symbol}\",\"price\":1}}");
        let request = server
            .http
            .post(url)
            .bearer_auth(crate::server::TOKEN)
            .body(tick);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("A", "one").await, 200);
    // The other publisher continues meanwhile.
    eventually(async || {
        assert_eq!(post("B", "two").await, 200);
        let (_, symbols) = server.get("/v1/symbols").await;
        let status = |at: usize| {
            (
                symbols["symbols"][at]["source"].clone(),
                symbols["symbols"][at]["state"].clone(),
            )
        };
        status(0) == ("http:one".into(), "stale".into())
            && status(1) == ("http:two".into(), "live".into())
    })
    .await;
    assert_eq!((post("A", "a%20b").await, post("A", "").await), (400, 400));
}
