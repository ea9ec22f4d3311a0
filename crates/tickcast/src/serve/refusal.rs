//! Answers that the accept loop gives itself, each the last on its connection.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::Problem;

/// When a stream that found no place is to come back, in milliseconds: each at a time of its own, and not too soon.
const RETRY_MS: std::ops::RangeInclusive<u32> = 5000..=15_000;

/// How long a client that is sent away may take to hear it. One that was cut while still talking might not.
const FAREWELL: Duration = Duration::from_secs(1);

/// Tells a stream to come back later. The status is 200: with any other a browser's `EventSource` never would.
pub(super) async fn busy(socket: TcpStream) {
    let retry = fastrand::u32(RETRY_MS);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store, no-transform\r\nconnection: close\r\n\r\nretry: {retry}\n: busy\n"
    );
    say(socket, &answer).await;
}

/// Refuses a request that no two servers might understand alike.
pub(super) async fn bad_request(socket: TcpStream, why: &str) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, why).to_json();
    let length = problem.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{problem}"
    );
    say(socket, &answer).await;
}

async fn say(mut socket: TcpStream, answer: &str) {
    let saying = async {
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await?;
        // A socket closed with something unread resets the connection, and the answer might be lost.
        let mut unread = [0; 1024];
        while socket.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, saying).await;
}
