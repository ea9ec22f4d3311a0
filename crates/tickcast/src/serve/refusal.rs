//! The one answer that the accept loop gives itself, and the last on its connection.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::Problem;

/// How long a client that is sent away may take to hear it. One that was cut while still talking might not.
const FAREWELL: Duration = Duration::from_secs(1);

/// Refuses a request that no two servers might understand alike.
pub(super) async fn bad_request(mut socket: TcpStream, why: &str) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, why).to_json();
    let length = problem.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{problem}"
    );
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
