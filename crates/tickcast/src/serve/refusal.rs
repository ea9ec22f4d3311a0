//! The one answer that the accept loop gives itself, and the last on its connection.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Door;
use super::patient::{Course, Patient};
use crate::http::Problem;

/// Refuses a request that no two servers might understand alike.
pub(super) async fn bad_request(socket: TcpStream, why: &str, door: &Door) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, why).to_json();
    let length = problem.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{problem}"
    );
    let course = Arc::new(Course { unread: true.into(), ..Course::default() });
    let mut socket = Patient::new(socket, door.stall, course, Arc::clone(&door.places));
    let saying = async {
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await
    };
    // One who does not want to hear it need not.
    let _ = saying.await;
}
