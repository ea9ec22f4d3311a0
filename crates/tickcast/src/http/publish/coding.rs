//! The `Content-Encoding` of published bodies.

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::answers::{AnswerPermit, Answers, Busy};
use crate::http::{Problem, body};

/// The accepted codings, in the format of `Accept-Encoding`.
const ACCEPTED_CODINGS: &str = "gzip, zstd";

/// Maximum number of decoded bytes in memory at a time, however large the decoded body is.
const PIECE_BYTES: usize = 64 << 10;

/// The binary logarithm of the largest zstd window: 8 MiB, the limit of RFC 9659. The window is the
/// memory that decoding needs. A permit limits the number of bodies that are decoded at the same
/// time.
const ZSTD_WINDOW: u32 = 23;

/// The `Content-Encoding` of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// Reads the headers. Returns `None` for a coding that is not accepted.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).into_iter();
        let coding = codings
            .next()
            .map_or(Some(""), |coding| coding.to_str().ok())?;
        let coding = match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => return None,
        };
        codings.next().is_none().then_some(coding)
    }

    /// Returns 415 for a coding that is not accepted.
    pub(super) fn refusal() -> Response {
        let detail = format!("Content-Encoding: expected {ACCEPTED_CODINGS} or none");
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
            .with("parameter", "Content-Encoding");
        ([(header::ACCEPT_ENCODING, ACCEPTED_CODINGS)], problem).into_response()
    }

    /// Returns a permit for the decoding window, if the coding needs one.
    ///
    /// # Errors
    /// If no permit is free.
    pub(super) fn room(self, answers: &Answers) -> Result<Option<AnswerPermit>, Busy> {
        if self == Self::Zstd {
            answers.window().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Decodes a body while the body arrives. The permit is held as long as the body is read.
    pub(super) fn decode(self, body: Body, room: Option<AnswerPermit>) -> Body {
        if self == Self::Identity {
            return body;
        }
        let bytes = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        // Several compressed parts may follow each other, as after `cat a.gz b.gz`.
        match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(bytes);
                decoder.multiple_members(true);
                pieces(decoder, room)
            }
            Self::Identity | Self::Zstd => {
                let mut decoder =
                    ZstdDecoder::with_params(bytes, &[DParameter::window_log_max(ZSTD_WINDOW)]);
                decoder.multiple_members(true);
                pieces(decoder, room)
            }
        }
    }

    /// Returns the problem for a body that ended with an error: 400, unless the server itself
    /// stopped reading the body.
    pub(super) fn problem(self, error: &axum::Error) -> Problem {
        body::known(error).unwrap_or_else(|| self.broken(error))
    }

    fn broken(self, error: &axum::Error) -> Problem {
        let detail = match self {
            Self::Identity => "the body ended too early".to_owned(),
            Self::Gzip => format!("the body ended too early or is not gzip: {error}"),
            Self::Zstd => format!("the body ended too early or is not zstd: {error}"),
        };
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }
}

fn pieces(decoder: impl AsyncRead + Send + 'static, room: Option<AnswerPermit>) -> Body {
    let pieces = ReaderStream::with_capacity(decoder, PIECE_BYTES);
    Body::from_stream(pieces.inspect_ok(move |_| _ = &room))
}
