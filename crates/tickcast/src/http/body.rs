//! Request bodies, read piece by piece.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body::Body as _;
use tokio::time::timeout;

use super::Problem;
use crate::answers::{Answers, MAX_SHORT_BODY_BYTES};
use crate::serve::Unread;

/// Maximum time for a body that is usable only when complete, however slowly its bytes arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time and maximum number of bytes for reading a body that is discarded.
const MAX_DISCARDED: (Duration, usize) = (Duration::from_secs(5), 1 << 20);

/// Returns the next bytes, or `None` at the end of the body.
pub(super) async fn next(body: &mut Body) -> Option<Result<Bytes, Problem>> {
    let next = try_next(body).await?;
    Some(next.map_err(|error| {
        let broke_off = || Problem::new(StatusCode::BAD_REQUEST, "the body ended too early");
        known(&error).unwrap_or_else(broke_off)
    }))
}

/// Returns the next bytes, or the original error if the body failed.
pub(super) async fn try_next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            // Trailers are ignored.
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Reads a whole body of at most `most` bytes. A long body needs a permit.
pub(super) async fn read_all(
    mut body: Body,
    most: usize,
    answers: &Answers,
) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let detail = format!("the body has more than {} KiB", most >> 10);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    let reading = async {
        let (mut all, mut place) = (Vec::new(), None);
        while let Some(bytes) = next(&mut body).await {
            let bytes = bytes?;
            if all.len() + bytes.len() > most {
                return Err(too_long());
            }
            if all.len() + bytes.len() > MAX_SHORT_BODY_BYTES && place.is_none() {
                place = Some(answers.long_body()?);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    };
    let late = || {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body took longer than {BODY_TIMEOUT:?}"),
        )
    };
    timeout(BODY_TIMEOUT, reading)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// Reads and discards a body, up to a limit. Without this, a client that is still sending may never
/// read the answer.
pub(super) async fn discard_body(mut body: Body) {
    let (longest, mut left) = MAX_DISCARDED;
    let reading = async {
        while let Some(Ok(bytes)) = next(&mut body).await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(longest, reading).await;
}

/// Returns the problem if the server itself stopped reading the body.
pub(super) fn known(error: &axum::Error) -> Option<Problem> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref() {
            Some(Unread::Stalled(_)) => {
                return Some(Problem::new(StatusCode::REQUEST_TIMEOUT, error.to_string()));
            }
            Some(Unread::Stopping) => {
                return Some(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    error.to_string(),
                ));
            }
            None => cause = error.source(),
        }
    }
    None
}
