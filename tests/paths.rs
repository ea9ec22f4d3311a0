//! Two ways to write a stream, with the same bytes: directly into the socket, and through an HTTP
//! body.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tickcast::{Hub, Tick};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::eventually;

/// Serves `app` and returns its address.
async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(tickcast::serve(listener, app).into_future());
    address
}

/// Sends `request` and reads until the server closes the connection.
async fn exchange(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Returns the event lines of a response, for any framing.
fn events(answer: &str) -> Vec<&str> {
    answer
        .lines()
        .filter(|line| {
            ["event: ", "data: ", "id: "]
                .iter()
                .any(|field| line.starts_with(field))
        })
        .collect()
}

fn publish(hub: &Hub, n: u32) {
    let tick = format!("{{\"symbol\":\"A\",\"price\":{n}}}");
    hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_http_versions_and_both_paths_send_the_same_events() {
    let hub = Hub::builder().build();
    let address = serve(Router::new().nest("/mine", hub.router())).await;
    publish(&hub, 0);
    let path = "/mine/prices/stream?symbols=A";
    let direct = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    // A plain GET for a stream has no `content-length`, so hyper serves this request.
    let through_hyper =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let http1_0 = format!("GET {path} HTTP/1.0\r\n\r\n");
    let requests = [direct, through_hyper, http1_0];
    // The same stream over HTTP/2 with prior knowledge.
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let http2_body = async {
        let response = http2
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("connection"));
        response.text().await.unwrap()
    };
    let answers =
        futures_util::future::join_all(requests.iter().map(|request| exchange(&address, request)));
    let publishing = async {
        eventually(async || hub.stats().streams == 4).await;
        (1..100).for_each(|n| publish(&hub, n));
        hub.end_when_caught_up();
    };
    let (answers, http2_body, ()) = futures_util::join!(answers, http2_body, publishing);
    assert_eq!(events(&http2_body), events(&answers[0]));
    for answer in &answers {
        assert_eq!(events(answer).len(), 300);
        assert_eq!(events(answer), events(&answers[0]));
        assert!(
            answer.starts_with("HTTP/1.") && answer.contains("content-type: text/event-stream\r\n"),
            "{answer}"
        );
    }
    assert!(answers[0].ends_with("\r\n0\r\n\r\n") && answers[1].ends_with("\r\n0\r\n\r\n"));
    assert!(
        answers[2].ends_with("id: A\n\n"),
        "HTTP/1.0 has no chunked encoding"
    );
}

#[tokio::test]
async fn responses_that_are_not_hub_streams_are_unchanged() {
    let own = get(|| async { ([("content-type", "text/event-stream")], "data: mine\n\n") });
    let hub = Hub::builder().build();
    let address = serve(Router::new().route("/own/stream", own).merge(hub.router())).await;
    let close = "HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(&address, &format!("GET /own/stream {close}")).await;
    assert!(
        answer.ends_with("content-length: 12\r\n\r\ndata: mine\n\n")
            || answer.ends_with("data: mine\n\n"),
        "{answer}"
    );
    let answer = exchange(&address, &format!("GET /prices/stream?rate=x {close}")).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n")
            && answer.contains("\"parameter\":\"rate\""),
        "{answer}"
    );
}

#[tokio::test]
async fn a_reader_that_sends_a_second_request_is_disconnected() {
    let hub = Hub::builder().build();
    let address = serve(hub.router()).await;
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket
        .write_all(b"GET /prices/stream HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    eventually(async || hub.stats().streams == 1).await;
    socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    eventually(async || hub.stats().streams == 0).await;
    // The server also refuses both requests in one write.
    let two = "GET /prices/stream HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = exchange(&address, two).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("is the last on its connection"),
        "{answer}"
    );
}

/// Checks that a payload that does not fit into the socket is completed, byte for byte, before the
/// next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_partly_written_payload_is_completed_first() {
    let hub = Hub::builder().build();
    let address = serve(hub.router()).await;
    let pad = "x".repeat(900);
    for n in 0..5_000 {
        let tick = format!("{{\"symbol\":\"S{n:04}\",\"price\":{n},\"pad\":\"{pad}\"}}");
        hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
            .unwrap();
    }
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket
        .write_all(b"GET /prices/stream HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    // The socket is full long before it holds five megabytes.
    let mut written = 0;
    eventually(async || {
        let before = std::mem::replace(&mut written, hub.stats().bytes_sent);
        written > 0 && before == written
    })
    .await;
    assert!(
        written < 5_000_000,
        "the server wrote {written} bytes to a reader that reads nothing"
    );
    let mut text = String::new();
    let mut bytes = vec![0; 1 << 16];
    while text.matches("event: tick").count() < 5_000 || !text.ends_with("\n\n") {
        let length = socket.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0);
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(
        ids,
        (0..5_000).map(|n| format!("S{n:04}")).collect::<Vec<_>>()
    );
}

/// Checks the write timeout on the body path: over HTTP/1, hyper stops polling the body once the
/// socket is full.
#[tokio::test(flavor = "multi_thread")]
async fn the_write_timeout_resets_a_stalled_reader_on_the_body_path() {
    let hub = Hub::builder().build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tickcast::serve(listener, hub.router()).write_timeout(Duration::from_secs(3));
    tokio::spawn(server.into_future());
    let request = "GET /prices/stream HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(request.as_bytes()).await.unwrap();
    let mut healthy = TcpStream::connect(address).await.unwrap();
    healthy.write_all(request.as_bytes()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut bytes = vec![0; 1 << 20];
        while healthy.read(&mut bytes).await.unwrap() > 0 {}
    });
    eventually(async || hub.stats().streams == 2).await;
    // Publish more than all buffers between server and reader can hold.
    let pad = "x".repeat(900);
    let mut n = 0;
    eventually(async || {
        for _ in 0..1000 {
            n += 1;
            let tick = format!(
                "{{\"symbol\":\"S{}\",\"price\":{n},\"pad\":\"{pad}\"}}",
                n % 5000
            );
            hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
                .unwrap();
        }
        hub.stats().streams == 1
    })
    .await;
    // The reader can still read the buffered bytes. Then the reader gets a reset, not a clean end.
    let mut bytes = vec![0; 1 << 16];
    let end = loop {
        match stuck.read(&mut bytes).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset));
    assert!(!reading.is_finished());
}
