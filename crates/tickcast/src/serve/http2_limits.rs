//! What one HTTP/2 connection may cost.

use hyper_util::server::conn::auto::Http2Builder;

use super::head;

/// Maximum number of concurrent requests on a connection. RFC 9113 (6.5.2) recommends at least this
/// number.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Maximum number of bytes of an answer that wait for the window: a few pieces.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Number of body bytes that a peer may send before any are read, for each request and for the
/// whole connection.
const WINDOW_BYTES: u32 = 256 << 10;

/// Maximum number of requests that a peer may cancel before the server processes any of the
/// requests. One more ends the connection.
const MAX_PENDING_RESETS: usize = 20;

/// Maximum number of requests on a connection that are reset because of an error of the peer.
const MAX_FAULTY_STREAMS: usize = 64;

/// Sets the limits of a connection.
pub(super) fn apply<E>(mut http2: Http2Builder<'_, E>) {
    http2
        .keep_alive_interval(Some(head::HEAD_TIMEOUT))
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(head::MAX_HEAD_BYTES as u32)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS);
}
