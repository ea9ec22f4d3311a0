//! Each fault reaches the client.

use std::time::Duration;

use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Client, connect, fake, settle, subscribed, subscription};
use crate::{BadTime, Exchange, Fault};

const EXCHANGES: [Exchange; 4] = [
    Exchange::Binance,
    Exchange::Coinbase,
    Exchange::Advanced,
    Exchange::Kraken,
];

/// Returns a text that identifies a ticker of each exchange, and the key of the last price.
fn ticker(exchange: Exchange) -> (&'static str, &'static str) {
    match exchange {
        Exchange::Binance => ("24hrTicker", r#""c":""#),
        Exchange::Coinbase => (r#""type":"ticker""#, r#""price":""#),
        Exchange::Advanced => (r#""tickers""#, r#""price":""#),
        Exchange::Kraken => (r#""channel":"ticker""#, r#""last":"#),
    }
}

/// Returns the last prices of all tickers within `time`.
async fn prices(exchange: Exchange, client: &mut Client, time: Duration) -> Vec<String> {
    let (kind, key) = ticker(exchange);
    let price = |text: &String| {
        // Kraken's acknowledgements name the channel too, but have no price.
        let (_, rest) = text.split_once(key)?;
        Some(
            rest.chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect(),
        )
    };
    client
        .all(time)
        .await
        .iter()
        .filter(|text| text.contains(kind))
        .filter_map(price)
        .collect()
}

fn sent(fake: &crate::Fake) -> Vec<String> {
    fake.record()
        .sent
        .into_iter()
        .map(|trade| trade.price)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn duplicates_swaps_and_gaps_reach_the_client() {
    for exchange in EXCHANGES {
        let (fake, mut client) = subscribed(exchange).await;
        let time = Duration::from_millis(3500);
        fake.misbehave(Fault::Duplicate);
        let seen = prices(exchange, &mut client, time).await;
        let expected = sent(&fake);
        assert_eq!(
            seen,
            [0, 0, 1, 2].map(|index: usize| expected[index].as_str()),
            "{exchange:?}"
        );

        fake.misbehave(Fault::Swap);
        let seen = prices(exchange, &mut client, Duration::from_secs(3)).await;
        let expected = sent(&fake);
        assert_eq!(
            seen,
            [4, 3, 5].map(|index: usize| expected[index].as_str()),
            "{exchange:?}"
        );

        fake.misbehave(Fault::Gap(2));
        let seen = prices(exchange, &mut client, Duration::from_secs(4)).await;
        assert_eq!(seen, sent(&fake)[6..]);
        let record = fake.record();
        assert_eq!((record.sent.len(), record.withheld.len()), (8, 2));
        assert_eq!(record.sent[6].id, record.withheld[1].id + 1);
        assert_eq!(record.violations, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_shows_in_the_numbers_of_advanced() {
    let (fake, mut client) = subscribed(Exchange::Advanced).await;
    let before = client.json().await["sequence_num"].as_u64();
    fake.misbehave(Fault::Gap(2));
    assert_eq!(
        client.json().await["sequence_num"].as_u64(),
        before.map(|number| number + 3)
    );
    fake.misbehave(Fault::Swap);
    let (later, earlier) = (client.json().await, client.json().await);
    assert_eq!(
        later["sequence_num"].as_u64(),
        earlier["sequence_num"].as_u64().map(|number| number + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn invalid_times_are_sent() {
    for exchange in EXCHANGES {
        let (fake, mut client) = subscribed(exchange).await;
        let (kind, _) = ticker(exchange);
        let binance = exchange == Exchange::Binance;
        let cases = [
            (
                BadTime::YearOne,
                if binance {
                    r#""E":0,"#
                } else {
                    r#""0001-01-01T00:00:00.000000"#
                },
            ),
            (
                BadTime::Epoch,
                if binance {
                    r#""E":0,"#
                } else {
                    r#""1970-01-01T00:00:00.000000"#
                },
            ),
            (
                BadTime::Future,
                if binance {
                    r#""E":1814443"#
                } else {
                    r#""2027-07-01T12:00:0"#
                },
            ),
        ];
        for (time, text) in cases {
            fake.misbehave(Fault::Time(time));
            let message = client.json_with(kind).await.to_string();
            assert!(message.contains(text), "{message}");
        }
        fake.misbehave(Fault::Time(BadTime::Missing));
        let message = client.json_with(kind).await.to_string();
        assert!(
            !message.contains(r#""time"#) && !message.contains(r#""E""#),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_a_halted_and_a_dead_exchange_send_no_data() {
    for exchange in EXCHANGES {
        let (fake, mut client) = subscribed(exchange).await;
        fake.misbehave(Fault::Silence);
        let texts = client.all(Duration::from_secs(50)).await;
        let heartbeats = texts
            .iter()
            .filter(|text| text.contains("heartbeat"))
            .count();
        assert_eq!(heartbeats, texts.len(), "{texts:?}");
        match exchange {
            Exchange::Binance => assert_eq!(fake.record().connects[0].pongs, 2),
            Exchange::Coinbase | Exchange::Kraken => assert!(heartbeats > 45),
            Exchange::Advanced => (),
        }
        let mut fresh = connect(&fake, subscription(exchange).0)
            .await
            .expect("accepted");
        fresh.send(subscription(exchange).2).await;
        assert!(
            !prices(exchange, &mut fresh, Duration::from_secs(3))
                .await
                .is_empty()
        );

        let before = fake.record().sent.len();
        fake.misbehave(Fault::Halt(true));
        assert!(
            prices(exchange, &mut fresh, Duration::from_secs(3))
                .await
                .is_empty()
        );
        assert_eq!(fake.record().sent.len(), before);
        fake.misbehave(Fault::Halt(false));
        assert!(
            !prices(exchange, &mut fresh, Duration::from_secs(3))
                .await
                .is_empty()
        );

        fake.misbehave(Fault::Dead);
        fresh.all(Duration::from_millis(1)).await;
        fresh.send("{}").await;
        assert!(fresh.all(Duration::from_secs(600)).await.is_empty());
        assert_eq!(fake.record().connects[1].ended, None);
        assert_eq!(fake.record().connects[1].messages.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn extra_frames_are_sent() {
    for exchange in EXCHANGES {
        let (fake, mut client) = subscribed(exchange).await;
        let (kind, key) = ticker(exchange);
        fake.misbehave(Fault::ZeroQuote);
        let text = client.text().await;
        assert!(
            text.contains(kind) && text.contains(&format!("{key}0.0")),
            "{text}"
        );
        assert!(
            text.contains("1970-01-01T00:00:00") || text.contains(r#""E":0,"#),
            "{text}"
        );
        fake.misbehave(Fault::Raw("[[[[".to_owned()));
        assert_eq!(client.text().await, "[[[[");
        fake.misbehave(Fault::Big(1 << 20));
        assert_eq!(client.text().await.len(), 1 << 20);
        fake.misbehave(Fault::Binary);
        assert!(matches!(client.next().await, Some(Ok(Message::Binary(_)))));
        assert_eq!(fake.record().sent.len(), 0, "the faults took time");
        fake.misbehave(Fault::NotUtf8);
        assert!(matches!(client.next().await, Some(Err(Error::Utf8(_)))));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_end_as_the_fault_defines() {
    for exchange in EXCHANGES {
        let (fake, mut client) = subscribed(exchange).await;
        fake.misbehave(Fault::Abrupt);
        assert!(matches!(client.next().await, None | Some(Err(_))));

        let mut client = connect(&fake, subscription(exchange).0)
            .await
            .expect("accepted");
        client.send(subscription(exchange).2).await;
        fake.misbehave(Fault::Close(1008, "é".repeat(100)));
        let close = loop {
            if let Message::Close(close) = client
                .next()
                .await
                .expect("a frame")
                .expect("a valid message")
            {
                break close;
            }
        };
        assert_eq!(
            close.map(|close| (u16::from(close.code), close.reason.len())),
            Some((1008, 122))
        );

        let mut client = connect(&fake, subscription(exchange).0)
            .await
            .expect("accepted");
        client.send(subscription(exchange).2).await;
        settle().await;
        fake.misbehave(Fault::Shutdown);
        let before = fake.0.uptime();
        let mut announced = false;
        while let Some(Ok(message)) = client.next().await {
            announced |= message
                .to_text()
                .is_ok_and(|text| text.contains(r#""serverShutdown","E""#));
        }
        let (binance, waited) = (
            exchange == Exchange::Binance,
            (fake.0.uptime() - before).as_secs(),
        );
        assert_eq!((announced, waited), (binance, if binance { 10 } else { 0 }));
        assert_eq!(fake.record().violations, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_and_closed_at_once() {
    let fake = fake(Exchange::Kraken);
    fake.misbehave(Fault::Refuse {
        times: 1,
        status: 418,
        retry_after: Some(5),
    });
    fake.misbehave(Fault::Flap(1));
    let Err(Error::Http(response)) = connect(&fake, "/v2").await else {
        panic!("not refused")
    };
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["retry-after"], "5");
    let mut client = connect(&fake, "/v2").await.expect("accepted");
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
    let mut client = connect(&fake, "/v2").await.expect("accepted");
    assert!(client.text().await.contains("online"));
    let accepted: Vec<bool> = fake
        .record()
        .connects
        .iter()
        .map(|connect| connect.accepted)
        .collect();
    assert_eq!(accepted, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_can_follow_the_data() {
    for exchange in EXCHANGES {
        let fake = fake(exchange);
        fake.misbehave(Fault::LateAck(true));
        let mut client = connect(&fake, subscription(exchange).0)
            .await
            .expect("accepted");
        client.send(subscription(exchange).2).await;
        let texts = client.all(Duration::from_millis(1500)).await;
        let ack = |text: &String| text.contains("result") || text.contains("subscriptions");
        let (kind, _) = ticker(exchange);
        let (ack, data) = (
            texts.iter().position(ack),
            texts.iter().position(|text| text.contains(kind)),
        );
        assert!(data.is_some() && data < ack, "{texts:?}");
        if exchange == Exchange::Advanced {
            assert!(
                texts[0].contains(r#""sequence_num":0"#)
                    && texts[1].contains(r#""sequence_num":1"#)
            );
        }
    }
}
