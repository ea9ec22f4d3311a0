//! The rules that fakes enforce.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Client, connect, fake, settle, subscribed, subscription};
use crate::{Exchange, Fake, Options};

/// Returns the code of the required close frame, after any other messages.
async fn close_code(client: &mut Client) -> u16 {
    while let Some(Ok(message)) = client.next().await {
        if let Message::Close(Some(frame)) = message {
            return frame.code.into();
        }
    }
    panic!("the connection ended without a close frame");
}

#[tokio::test(start_paused = true)]
async fn too_many_messages_close_the_connection() {
    for (exchange, max) in [
        (Exchange::Binance, 5),
        (Exchange::Coinbase, 100),
        (Exchange::Advanced, 8),
    ] {
        let fake = fake(exchange);
        let mut client = connect(&fake, subscription(exchange).0)
            .await
            .expect("accepted");
        for _ in 0..max {
            client.send(subscription(exchange).2).await;
        }
        settle().await;
        assert_eq!(fake.record().violations.len(), 0);
        client.send("{}").await;
        assert_eq!(close_code(&mut client).await, 1008);
        settle().await;
        assert_eq!(fake.record().violations.len(), 1, "{exchange:?}");
        assert_eq!(fake.record().connects[0].messages.len(), max + 1);
        assert_eq!(
            fake.record().connects[0].ended.as_deref(),
            Some("closed with 1008: Too many requests")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn binance_sends_pings_and_requires_pongs() {
    let (fake, mut client) = subscribed(Exchange::Binance).await;
    client.all(Duration::from_secs(310)).await;
    settle().await;
    assert_eq!(fake.record().connects[0].pongs, 15);
    assert_eq!(fake.record().violations, Vec::<String>::new());

    client
        .0
        .send(Message::Pong("wrong".into()))
        .await
        .expect("sent");
    settle().await;
    assert!(fake.record().violations[0].contains("echoes no ping"));

    // A client that does not read sends no pongs.
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(fake.record().violations[1].contains("no pong in time"));
    assert_eq!(
        fake.record().connects[0].ended.as_deref(),
        Some("closed with 1008: Pong timeout")
    );
}

#[tokio::test(start_paused = true)]
async fn binance_cuts_a_connection_after_a_day() {
    let (fake, mut client) = subscribed(Exchange::Binance).await;
    let day = client.all(Duration::from_millis(86_399_500)).await;
    assert_eq!(day.len(), 2 * (86_400 - 1));
    while let Some(Ok(_)) = client.next().await {}
    settle().await;
    assert_eq!(
        fake.record().connects[0].ended.as_deref(),
        Some("cut: the connection has reached its age")
    );
    assert_eq!(fake.record().sent.len(), 86_400);
    assert_eq!(fake.record().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn both_coinbase_exchanges_require_a_subscription() {
    for exchange in [Exchange::Coinbase, Exchange::Advanced] {
        let fake = fake(exchange);
        let mut client = connect(&fake, "/").await.expect("accepted");
        assert_eq!(close_code(&mut client).await, 1008);
        assert_eq!(fake.0.uptime().as_secs(), 5);
        assert_eq!(fake.record().violations.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let (fake, mut client) = subscribed(Exchange::Advanced).await;
    fake.misbehave(crate::Fault::Halt(true));
    assert_eq!(close_code(&mut client).await, 1001);
    assert_eq!(fake.0.uptime().as_secs(), 90);

    let fake = super::fake(Exchange::Kraken);
    let mut client = connect(&fake, "/v2").await.expect("accepted");
    assert_eq!(close_code(&mut client).await, 1001);
    assert_eq!(fake.0.uptime().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn too_many_connects_are_refused() {
    let fake = fake(Exchange::Advanced);
    for attempt in 0..9 {
        let status = match connect(&fake, "/").await {
            Ok(_) => None,
            Err(Error::Http(response)) => Some(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(status, (attempt == 8).then_some(429));
    }
    settle().await;
    assert_eq!(fake.record().violations.len(), 1);
    assert_eq!(
        fake.record()
            .connects
            .iter()
            .filter(|connect| connect.accepted)
            .count(),
        8
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_are_not_found() {
    for (exchange, path) in [
        (Exchange::Binance, "/"),
        (Exchange::Coinbase, "/v2"),
        (Exchange::Kraken, "/"),
    ] {
        let fake = fake(exchange);
        let Err(Error::Http(response)) = connect(&fake, path).await else {
            panic!("{path} answers")
        };
        assert_eq!(response.status(), 404);
    }
}

#[tokio::test]
async fn a_fake_serves_tcp() {
    let mut options = Options::new(Exchange::Kraken, &["BTC/USD"]);
    options.interval = Duration::from_millis(10);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(Fake::start(options).listen(listener));
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let url = format!("ws://{address}/v2");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream)
        .await
        .expect("accepted");
    socket
        .send(Message::text(subscription(Exchange::Kraken).2))
        .await
        .expect("sent");
    let mut updates = 0;
    while updates < 3 {
        let text = socket
            .next()
            .await
            .expect("more")
            .expect("a valid message")
            .into_text()
            .expect("text");
        updates += usize::from(text.contains(r#""type":"update","data":[{"symbol""#));
    }
}
