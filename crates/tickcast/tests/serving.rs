//! The library in an application of the user's own: state, listeners, addresses, middleware.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt;
use tickcast::access::Viewer;
use tickcast::{Hub, PriceTick, SourceOptions, Tick, routes, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sends a request and reads until `wanted` has arrived.
async fn ask(mut socket: impl AsyncRead + AsyncWrite + Unpin, path: &str, wanted: &str) -> String {
    socket
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    read_until(socket, wanted).await
}

async fn read_until(mut socket: impl AsyncRead + Unpin, wanted: &str) -> String {
    let (mut answer, mut bytes) = (String::new(), [0; 4096]);
    while !answer.contains(wanted) {
        let length = socket.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "the connection ended after: {answer}");
        answer.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    answer
}

/// Returns a hub with one price, `A` 1.5.
fn hub() -> Hub {
    let hub = Hub::builder().build();
    hub.try_publish(&Tick::from_json(br#"{"symbol":"A","price":1.5}"#).unwrap())
        .unwrap();
    hub
}

#[derive(Clone)]
struct AppState {
    name: &'static str,
}

#[tokio::test]
async fn all_routers_merge_into_a_router_with_state() {
    let hub = hub();
    let (ticks, _) = tokio::sync::broadcast::channel::<PriceTick>(16);
    let app: Router<AppState> = Router::new()
        .route(
            "/name",
            get(async |State(state): State<AppState>| state.name),
        )
        .merge(hub.router())
        .merge(hub.source("http", SourceOptions::default()).router())
        .nest("/channel", routes(ticks).with_state(()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app.with_state(AppState { name: "mine" })).into_future());
    for (path, wanted) in [
        ("/name", "mine"),
        ("/prices/stream", "1.5"),
        ("/channel/prices/stream", "200 OK"),
    ] {
        ask(TcpStream::connect(address).await.unwrap(), path, wanted).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_streams_until_a_graceful_shutdown() {
    let (folder, hub) = (tempfile::tempdir().unwrap(), hub());
    let path = folder.path().join("tickcast.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server =
        serve(listener, hub.router()).with_graceful_shutdown(async { stopped.await.unwrap() });
    assert_eq!(
        server.local_addr().unwrap().as_pathname(),
        Some(path.as_path())
    );
    let server = tokio::spawn(server.into_future());

    let mut socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = ask(&mut socket, "/prices/stream", "1.5").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    hub.try_publish(&Tick::from_json(br#"{"symbol":"A","price":2.5}"#).unwrap())
        .unwrap();
    read_until(&mut socket, "2.5").await;
    stop.send(()).unwrap();
    hub.drain(std::time::Duration::ZERO).await;
    socket.read_to_end(&mut Vec::new()).await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn handlers_learn_the_address_of_their_peer_on_both_paths() {
    async fn add_address(
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        request: Request,
        next: Next,
    ) -> Response {
        let mut response = next.run(request).await;
        response
            .headers_mut()
            .insert("x-peer", peer.to_string().parse().unwrap());
        response
    }
    let app = hub().router().layer(from_fn(add_address));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app).into_future());
    for path in ["/prices/stream", "/v1/prices"] {
        let socket = TcpStream::connect(address).await.unwrap();
        let peer = format!("x-peer: {}\r\n", socket.local_addr().unwrap());
        let answer = ask(socket, path, "1.5").await;
        assert!(answer.contains(&peer), "{answer}");
    }
}

#[tokio::test]
async fn middleware_sees_the_bytes_of_streams_if_the_direct_path_is_off() {
    for direct in [true, false] {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let count = move |response: Response| {
            let counter = Arc::clone(&counter);
            let count = move |bytes: Bytes| {
                counter.fetch_add(bytes.len(), Ordering::Relaxed);
                bytes
            };
            let counted = move |body: Body| body.map_frame(move |frame| frame.map_data(&count));
            std::future::ready(response.map(|body| Body::new(counted(body))))
        };
        let app = hub().router().layer(map_response(count));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, app).direct(direct).into_future());
        ask(
            TcpStream::connect(address).await.unwrap(),
            "/prices/stream",
            "1.5",
        )
        .await;
        let expected = cfg!(not(target_os = "linux")) || !direct;
        assert_eq!(
            seen.load(Ordering::Relaxed) > 0,
            expected,
            "direct: {direct}"
        );
    }
}

/// A listener whose connections take 64 KiB into memory before anything must be sent.
struct Buffered(tokio::sync::mpsc::Receiver<tokio::io::DuplexStream>);

impl axum::serve::Listener for Buffered {
    type Io = tokio::io::BufWriter<tokio::io::DuplexStream>;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, ()) {
        match self.0.recv().await {
            Some(connection) => (
                tokio::io::BufWriter::with_capacity(64 << 10, connection),
                (),
            ),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_cut_even_if_its_answer_waits_in_memory() {
    let (connect, connections) = tokio::sync::mpsc::channel(4);
    tokio::spawn(serve(Buffered(connections), hub().router()).into_future());
    for request in [
        "GET /v1/prices HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "GET /v1/prices HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/prices HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET /prices/stream HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let (mut near, far) = tokio::io::duplex(64);
        connect.send(far).await.unwrap();
        near.write_all(request.as_bytes()).await.unwrap();
        // The server has closed its end when nothing can be written to it. Until then, nothing is
        // read.
        let closed = async { while near.write_all(b" ").await.is_ok() {} };
        tokio::time::timeout(std::time::Duration::from_secs(120), closed)
            .await
            .expect(request);
    }
}

/// A stream that has left the HTTP server for a lane still counts for its subject, until its
/// reader leaves.
#[tokio::test]
async fn a_handed_over_stream_counts_for_its_subject() {
    let identify = async |mut request: Request, next: Next| {
        let viewer = Viewer::default().subject("a").max_streams(1);
        request.extensions_mut().insert(viewer);
        next.run(request).await
    };
    let app: Router = hub().router().layer(from_fn(identify));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app).into_future());
    let open = async || TcpStream::connect(address).await.unwrap();
    let mut first = open().await;
    ask(&mut first, "/v1/stream", "event: ready").await;
    let refused = ask(open().await, "/v1/stream", "event: bye").await;
    assert!(refused.contains(r#""reason":"busy""#), "{refused}");
    drop(first);
    // The server learns that the reader has left soon, but not at once.
    while !ask(open().await, "/v1/stream", "event: ")
        .await
        .contains("event: tick")
    {
        tokio::task::yield_now().await;
    }
}
