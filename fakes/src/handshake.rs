//! The handshake: accepts or refuses a connection, with an HTTP status.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::options::Exchange;
use crate::protocol;

/// The decision about an attempt to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Admission {
    Serve,
    /// Accept the connection, then close the connection at once.
    Flap,
    Refuse {
        status: u16,
        retry_after: Option<u32>,
    },
}

/// Performs the handshake. Returns the socket and the requested path, or the reason of a refusal.
pub(crate) async fn open<S>(
    exchange: Exchange,
    admission: Admission,
    io: S,
) -> Result<(WebSocketStream<S>, String), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut path = String::new();
    let mut refused = None;
    let callback = HandshakeCallback {
        exchange,
        admission,
        path: &mut path,
        refused: &mut refused,
    };
    let socket = accept_hdr_async(io, callback).await;
    match (socket, refused) {
        (Ok(socket), _) => Ok((socket, path)),
        (Err(_), Some(status)) => Err(format!("answered with HTTP {}", status.as_u16())),
        (Err(error), None) => Err(format!("the handshake failed: {error}")),
    }
}

struct HandshakeCallback<'a> {
    exchange: Exchange,
    admission: Admission,
    path: &'a mut String,
    refused: &'a mut Option<StatusCode>,
}

impl Callback for HandshakeCallback<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        if let Admission::Refuse {
            status,
            retry_after,
        } = self.admission
        {
            // A successful status would be no refusal, and tungstenite does not send such a
            // refusal.
            let status = StatusCode::from_u16(status)
                .ok()
                .filter(|status| !status.is_success());
            let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            *self.refused = Some(status);
            return Err(refusal(status, retry_after));
        }
        let target = request.uri();
        if !protocol::answers(self.exchange, target.path()) {
            *self.refused = Some(StatusCode::NOT_FOUND);
            return Err(refusal(StatusCode::NOT_FOUND, None));
        }
        *self.path = target
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default();
        Ok(response)
    }
}

fn refusal(status: StatusCode, retry_after: Option<u32>) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
