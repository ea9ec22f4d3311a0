//! The bytes of a stream around its events: its opening lines, its keep-alive, and the body of a
//! refusal.

use super::format::EventFormat;
use crate::{CloseReason, Notice};

/// The keep-alive of a quiet connection: one comment line. There is no blank line after the
/// comment, because some clients would read an empty event.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n";

/// Returns the opening lines of a stream. No blank line follows the opening lines, so the lines
/// belong to the block of the first event. Every client thus receives bytes at once.
///
/// `retry` is the time that the client waits before it reconnects, in milliseconds.
#[must_use]
pub fn preamble(retry: u32) -> Vec<u8> {
    format!("retry: {retry}\n: tickcast\n").into_bytes()
}

/// Returns the body for a stream that is refused because the server is busy. The simple stream has
/// no event for that.
///
/// `retry` is the time that the client waits before it reconnects, in milliseconds.
#[must_use]
pub fn busy(format: EventFormat, retry: u32) -> Vec<u8> {
    match format {
        EventFormat::Simple => format!("retry: {retry}\n: busy\n").into_bytes(),
        EventFormat::Resumable(..) => {
            let mut out = Vec::new();
            Notice::Bye {
                reason: CloseReason::Busy,
                retry,
            }
            .write(None, &mut out);
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    #[test]
    fn a_stream_opens_with_the_retry_time_and_without_a_blank_line() {
        assert_eq!(preamble(2500), b"retry: 2500\n: tickcast\n");
    }

    #[test]
    fn a_refused_stream_receives_a_comment_or_bye() {
        assert_eq!(busy(EventFormat::Simple, 5000), b"retry: 5000\n: busy\n");
        assert_eq!(
            busy(EventFormat::Resumable(Epoch::new(1), None), 5000),
            b"event: bye\ndata: {\"reason\":\"busy\",\"retry\":5000}\nretry: 5000\n\n"
        );
    }
}
