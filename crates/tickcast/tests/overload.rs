//! Overload: what the hub refuses at which pressure, and that it recovers.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use tickcast::stats::RefusedStream;
use tickcast::{Hub, OverloadStep, SourceOptions, Tick, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::ServiceExt;

fn publish(hub: &Hub, price: u64) {
    let tick = format!(r#"{{"symbol":"A","price":{price},"note":"{:0900}"}}"#, 0);
    hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
        .unwrap();
}

fn app(hub: &Hub) -> Router {
    let publisher = hub.source("http", SourceOptions::default());
    hub.router().merge(publisher.router())
}

async fn post(app: &Router) -> (StatusCode, Option<String>, String) {
    let body = r#"[{"symbol":"A","price":1},{"symbol":"B","price":2}]"#;
    let request = Request::post("/v1/prices").body(Body::from(body)).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let retry = answer.headers().get(header::RETRY_AFTER);
    let retry = retry.map(|seconds| seconds.to_str().unwrap().to_owned());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, retry, String::from_utf8(body.to_vec()).unwrap())
}

async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    let (mut answer, mut bytes) = (String::new(), [0; 4096]);
    while !answer.contains(wanted) {
        let length = socket.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "the connection ended after: {answer}");
        answer.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    answer
}

async fn open(address: std::net::SocketAddr, receive_buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let mut socket = socket.connect(address).await.unwrap();
    let request = b"GET /v1/stream?mode=all HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(request).await.unwrap();
    socket
}

#[tokio::test]
async fn each_step_refuses_what_it_says_and_the_hub_recovers() {
    let hub = Hub::builder().build();
    publish(&hub, 1);
    let app = app(&hub);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app.clone()).into_future());
    let mut reader = open(address, None).await;
    read_until(&mut reader, "event: ready").await;

    assert_eq!(hub.set_pressure(0.81), OverloadStep::RefuseStreams);
    let busy = read_until(&mut open(address, None).await, "\"busy\"").await;
    assert!(busy.starts_with("HTTP/1.1 200 OK\r\n"), "{busy}");
    assert!(
        busy.contains("\nretry: ") && !busy.contains("event: tick"),
        "{busy}"
    );
    assert_eq!(hub.reasons_not_ready(), ["overload: refuse-streams"]);
    let refused = hub.stats().streams_refused;
    assert!(
        refused.contains(&(RefusedStream::Overload, 1)),
        "{refused:?}"
    );
    assert_eq!(post(&app).await.0, StatusCode::OK);

    // The reader that is there is served at each step.
    for (pressure, price) in [(0.86, 3), (0.91, 4), (0.96, 5)] {
        hub.set_pressure(pressure);
        publish(&hub, price);
        read_until(&mut reader, &format!("\"price\":{price}")).await;
    }
    let (status, retry, body) = post(&app).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(retry.as_deref(), Some("5"));
    assert!(
        body.contains("\"accepted\":0") && body.contains("overloaded"),
        "{body}"
    );
    let request = Request::delete("/v1/prices/A").body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);

    assert_eq!(hub.set_pressure(0.5), OverloadStep::None);
    assert_eq!(hub.reasons_not_ready(), Vec::<String>::new());
    assert_eq!(post(&app).await.0, StatusCode::OK);
    read_until(&mut open(address, None).await, "event: ready").await;
}

#[tokio::test]
async fn only_stalled_streams_are_closed() {
    let hub = Hub::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app(&hub)).into_future());
    let mut reader = open(address, None).await;
    read_until(&mut reader, "event: ready").await;
    let mut stalled = open(address, Some(4096)).await;
    read_until(&mut stalled, "event: ready").await;

    // The hub closes the stream once it has accepted nothing for a while.
    let mut price = 0;
    while hub.stats().streams_shed == 0 {
        price += 1;
        publish(&hub, price);
        hub.set_pressure(0.92);
        read_until(&mut reader, &format!("\"price\":{price},")).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hub.stats().streams_shed, 1);
    let rest = stalled.read_to_end(&mut Vec::new()).await;
    assert!(
        rest.is_err(),
        "the connection is reset, and its data is freed"
    );
    publish(&hub, price + 1);
    read_until(&mut reader, &format!("\"price\":{},", price + 1)).await;
    assert_eq!(hub.stats().streams, 1);
}
