//! Each exchange without faults: subscription, acknowledgement and data.

use std::time::Duration;

use serde_json::json;

use super::{connect, fake, settle, subscribed, subscription};
use crate::{Exchange, Fake, Fault, Options};

#[tokio::test(start_paused = true)]
async fn binance_sends_the_subscribed_streams() {
    let (fake, mut client) = subscribed(Exchange::Binance).await;
    let ticker = client.json().await;
    let trade = client.json().await;
    let sent = &fake.record().sent[0];
    assert_eq!(ticker["stream"], "btcusdt@ticker");
    let data = &ticker["data"];
    assert_eq!(data["E"], super::NOON + 1000);
    assert_eq!(data["c"], sent.price.as_str());
    assert_eq!(
        (data["b"].as_str(), data["a"].as_str()),
        (Some(sent.bid.as_str()), Some(sent.ask.as_str()))
    );
    assert_eq!(data["L"], sent.id);
    let count = data["L"]
        .as_u64()
        .zip(data["F"].as_u64())
        .map(|(last, first)| last + 1 - first);
    assert_eq!(data["n"].as_u64(), count);
    assert_eq!(trade["data"]["a"], sent.id);
    assert_eq!(trade["data"]["p"], sent.price.as_str());

    client
        .send(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@ticker"],"id":"x"}"#)
        .await;
    client
        .send(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#)
        .await;
    assert_eq!(client.json().await, json!({"result": null, "id": "x"}));
    assert_eq!(
        client.json().await,
        json!({"result": ["btcusdt@aggTrade"], "id": 3})
    );
    assert_eq!(client.json().await["data"]["e"], "aggTrade");
}

#[tokio::test(start_paused = true)]
async fn binance_answers_invalid_requests_with_an_error_code() {
    let fake = fake(Exchange::Binance);
    let mut client = connect(&fake, "/ws").await.expect("accepted");
    let cases = [
        (
            "{",
            json!({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}),
        ),
        (
            r#"{"id":1}"#,
            json!({"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 8"}),
        ),
        (
            r#"{"method":"LIST_SUBSCRIPTIONS"}"#,
            json!({"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}),
        ),
        (
            r#"{"method":"SET_PROPERTY","params":["combined",1],"id":1}"#,
            json!({"code": 1, "msg": "Invalid value type: expected Boolean"}),
        ),
        (
            r#"{"method":"GET_PROPERTY","params":["loud"],"id":1}"#,
            json!({"code": 0, "msg": "Unknown property", "id": 1}),
        ),
        (
            r#"{"method":"SUBSCRIBE","params":["nono@ticker"],"id":null}"#,
            json!({"result": null, "id": null}),
        ),
    ];
    for (request, answer) in cases {
        client.send(request).await;
        assert_eq!(client.json().await, answer);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let many: Vec<String> = (0..1025).map(|n| format!("s{n}@ticker")).collect();
    client
        .send(&json!({"method": "SUBSCRIBE", "params": many, "id": 9}).to_string())
        .await;
    assert_eq!(
        client.json().await,
        json!({"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 9})
    );
    assert!(
        client.all(Duration::from_secs(5)).await.is_empty(),
        "an unknown stream sends nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn binance_reads_streams_from_the_path() {
    let fake = fake(Exchange::Binance);
    let mut raw = connect(&fake, "/ws/btcusdt@bookTicker")
        .await
        .expect("accepted");
    assert_eq!(raw.json().await["u"], fake.record().sent[0].sequence);
    let mut single = connect(&fake, "/ws/btcusdt@trade").await.expect("accepted");
    assert_eq!(single.json().await["t"], fake.record().sent[1].id);
    let path = "/stream?streams=btcusdt%40ticker/btcusdt@bookTicker&timeUnit=MICROSECOND";
    let mut combined = connect(&fake, path).await.expect("accepted");
    assert_eq!(
        combined.json().await["data"]["E"],
        (super::NOON + 3000) * 1000
    );
    assert_eq!(combined.json().await["stream"], "btcusdt@bookTicker");
}

#[tokio::test(start_paused = true)]
async fn coinbase_sends_the_subscribed_channels() {
    let fake = fake(Exchange::Coinbase);
    let mut client = connect(&fake, "/").await.expect("accepted");
    client
        .send(r#"{"type":"subscribe","product_ids":["BTC-USD","FOO-BAR"],"channels":["ticker"]}"#)
        .await;
    let refusal = json!({"type": "error", "message": "Failed to subscribe", "reason": "FOO-BAR is not a valid product"});
    assert_eq!(client.json().await, refusal);
    tokio::time::sleep(Duration::from_millis(2500)).await;

    client.send(subscription(Exchange::Coinbase).2).await;
    let ack = client.json().await;
    assert_eq!(
        ack["channels"][1],
        json!({"name": "matches", "product_ids": ["BTC-USD"]})
    );
    let last = fake.record().sent[1].clone();
    let (ticker, trade) = (client.json().await, client.json().await);
    assert_eq!(
        (&ticker["type"], &ticker["sequence"]),
        (&json!("ticker"), &json!(last.sequence))
    );
    assert_eq!(
        (&trade["type"], &trade["trade_id"]),
        (&json!("last_match"), &json!(last.id))
    );

    let trade = client.json_with(r#""match""#).await;
    let sent = fake.record().sent[2].clone();
    assert_eq!(
        (&trade["trade_id"], &trade["price"]),
        (&json!(sent.id), &json!(sent.price))
    );
    let ticker = client.json_with("ticker").await;
    assert_eq!(
        (&ticker["sequence"], &ticker["time"]),
        (&json!(sent.sequence), &json!("2026-07-01T12:00:03.000000Z"))
    );
    assert_ne!(
        trade["side"], ticker["side"],
        "a trade has the maker's side, and a ticker has the taker's side"
    );
    assert_eq!(client.json_with("heartbeat").await["product_id"], "BTC-USD");

    client
        .send(r#"{"type":"unsubscribe","channels":["ticker","matches"]}"#)
        .await;
    assert_eq!(
        client.json_with("subscriptions").await["channels"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert!(
        client
            .all(Duration::from_secs(3))
            .await
            .iter()
            .all(|text| text.contains("heartbeat"))
    );
    assert_eq!(fake.record().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn advanced_numbers_every_message() {
    let fake = fake(Exchange::Advanced);
    let mut client = connect(&fake, "/").await.expect("accepted");
    client
        .send(r#"{"type":"subscribe","channel":"heartbeats"}"#)
        .await;
    client.send(subscription(Exchange::Advanced).2).await;
    let texts = client.all(Duration::from_millis(3500)).await;
    let numbered: Vec<serde_json::Value> = texts
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .collect();
    assert!(
        numbered
            .iter()
            .enumerate()
            .all(|(number, message)| message["sequence_num"] == number),
        "{texts:?}"
    );
    let channels: Vec<_> = numbered
        .iter()
        .filter_map(|message| message["channel"].as_str())
        .collect();
    assert_eq!(channels[..3], ["subscriptions", "subscriptions", "ticker"]);
    assert_eq!(numbered[2]["events"][0]["type"], "snapshot");
    assert_eq!(
        channels
            .iter()
            .filter(|&&channel| channel == "heartbeats")
            .count(),
        3
    );
    let update = numbered[3..]
        .iter()
        .find(|message| message["channel"] == "ticker")
        .expect("an update");
    assert_eq!(
        update["events"][0]["tickers"][0]["price"],
        fake.record().sent[0].price
    );

    let both = json!({"ticker": ["BTC-USD"], "heartbeats": ["heartbeats"]});
    for unknown in [r#""FOO-BAR""#, r#""FOO-USDC","BTC-USDC""#] {
        client
            .send(&format!(
                r#"{{"type":"subscribe","product_ids":[{unknown}],"channel":"ticker"}}"#
            ))
            .await;
        let ack = client.json_with("subscriptions").await;
        assert_eq!(
            ack["events"][0]["subscriptions"], both,
            "unknown products are left out"
        );
    }
    client
        .send(r#"{"type":"unsubscribe","channel":"ticker"}"#)
        .await;
    let ack = client.json_with("subscriptions").await;
    assert_eq!(
        ack["events"][0]["subscriptions"],
        json!({"heartbeats": ["heartbeats"]})
    );
}

#[tokio::test(start_paused = true)]
async fn kraken_answers_each_symbol() {
    let fake = fake(Exchange::Kraken);
    let mut client = connect(&fake, "/v2").await.expect("accepted");
    let status = client.json().await;
    assert!(
        status["data"][0]["connection_id"]
            .as_u64()
            .expect("a number")
            > 1 << 63
    );
    client
        .send(r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD","XBT/USD"]},"req_id":7}"#)
        .await;
    let (ack, nack, snapshot) = (
        client.json().await,
        client.json().await,
        client.json().await,
    );
    assert_eq!(
        (&ack["success"], &ack["result"]["symbol"], &ack["req_id"]),
        (&json!(true), &json!("BTC/USD"), &json!(7))
    );
    assert_eq!(
        (&nack["success"], &nack["symbol"]),
        (&json!(false), &json!("XBT/USD"))
    );
    assert_eq!(nack["error"], "Currency pair not supported XBT/USD");
    assert_eq!(snapshot["type"], "snapshot");
    let update = client.text().await;
    let sent = &fake.record().sent[0];
    assert!(
        update.contains(&format!(r#""last":{},"volume""#, sent.price)),
        "{update}"
    );
    assert_eq!(
        sent.price.split_once('.').map(|(_, digits)| digits.len()),
        Some(1)
    );

    fake.misbehave(Fault::System("post_only".to_owned()));
    assert_eq!(
        client.json_with("status").await["data"][0]["system"],
        "post_only"
    );
    let mut other = connect(&fake, "/v2").await.expect("accepted");
    assert_eq!(other.json().await["data"][0]["system"], "post_only");

    client.send(r#"{"method":"ping","req_id":101}"#).await;
    let pong = client.json().await;
    assert_eq!(
        (&pong["method"], &pong["req_id"]),
        (&json!("pong"), &json!(101))
    );
    client
        .send(r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}"#)
        .await;
    assert_eq!(client.json().await["result"]["snapshot"], false);
    assert_eq!(
        client.json_with("trade_id").await["data"][0]["trade_id"],
        fake.record().sent[1].id
    );
}

#[tokio::test(start_paused = true)]
async fn connections_share_one_market() {
    let mut options = Options::new(Exchange::Binance, &["BTCUSDT", "ETHUSDT"]);
    options.interval = Duration::from_millis(100);
    let fake = Fake::start(options);
    let path = "/stream?streams=btcusdt@aggTrade/ethusdt@bookTicker/ethusdt@ticker";
    let mut first = connect(&fake, path).await.expect("accepted");
    let mut second = connect(&fake, path).await.expect("accepted");
    let texts = first.all(Duration::from_millis(2050)).await;
    settle().await;
    assert_eq!(texts, second.all(Duration::from_millis(1)).await);
    assert_eq!(
        texts
            .iter()
            .filter(|text| text.contains("24hrTicker"))
            .count(),
        2,
        "one ticker per second"
    );
    assert_eq!(
        texts
            .iter()
            .filter(|text| text.contains("aggTrade\""))
            .count(),
        40 / 2
    );
}
