//! A parser for the bytes of one stream. The parser is as cheap as possible, because the load must
//! not cost more than the server.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use crate::error::BenchError;

/// Search for the end of an event. The next item searches for the price of a tick. Each search is
/// prepared once, because preparing a search costs more than the search.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\n"));
static PRICE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"price\":"));

/// Position of the parser in a response.
#[derive(Debug)]
enum At {
    /// In the head, with the bytes of the head so far.
    Head(Vec<u8>),
    /// Before the size of a chunk, with the part of the size that was read.
    Size(usize),
    /// In a chunk, with the number of missing bytes.
    Data(usize),
    /// In a body without chunks.
    Bare,
}

/// A parser for one response: its status, its chunks, and the ticks in the chunks.
#[derive(Debug)]
pub(crate) struct Wire {
    at: At,
    /// The beginning of an event that is not complete yet.
    begun: Vec<u8>,
}

/// An answer that is not a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the server answered {0:?} (expected a stream)")]
    Refused(String),
    #[error("the answer of the server is not HTTP")]
    Garbled,
}

impl Wire {
    pub(crate) const fn new() -> Self {
        Self {
            at: At::Head(Vec::new()),
            begun: Vec::new(),
        }
    }

    /// Checks whether the head is complete.
    pub(crate) const fn open(&self) -> bool {
        !matches!(self.at, At::Head(_))
    }

    /// Parses the next bytes and calls `each` with the price of each tick.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(u64),
    ) -> Result<(), WireError> {
        while !bytes.is_empty() {
            bytes = match &mut self.at {
                At::Head(head) => {
                    let before = head.len();
                    head.extend_from_slice(bytes);
                    let Some(end) = memmem::find(head, b"\r\n\r\n").map(|at| at + 4) else {
                        return Ok(());
                    };
                    self.at = body(&head[..end])?;
                    &bytes[end - before..]
                }
                At::Size(size) => {
                    let end = memchr::memchr(b'\n', bytes);
                    let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                    for digit in line.iter().filter(|b| !matches!(b, b'\r' | b'\n')) {
                        let digit = (*digit as char).to_digit(16).ok_or(WireError::Garbled)?;
                        *size = (*size << 4) | digit as usize;
                    }
                    // The line break that ends a chunk is skipped as an empty size.
                    if end.is_some() && *size > 0 {
                        self.at = At::Data(*size);
                    }
                    rest
                }
                At::Data(left) => {
                    let (data, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= data.len();
                    if *left == 0 {
                        self.at = At::Size(0);
                    }
                    events(&mut self.begun, data, &mut each);
                    rest
                }
                At::Bare => {
                    events(&mut self.begun, bytes, &mut each);
                    &[]
                }
            };
        }
        Ok(())
    }
}

/// Returns the position after the head of a response.
fn body(head: &[u8]) -> Result<At, WireError> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = text.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(WireError::Refused(status.to_owned()));
    }
    Ok(if text.contains("transfer-encoding: chunked") {
        At::Size(0)
    } else {
        At::Bare
    })
}

/// Finds the events in `data`. `begun` holds the incomplete event of an earlier part.
fn events(begun: &mut Vec<u8>, data: &[u8], each: &mut impl FnMut(u64)) {
    let mut rest = data;
    if !begun.is_empty() {
        // The blank line may also be split between two parts.
        let before = begun.len();
        begun.extend_from_slice(data);
        let Some(end) = END.find(&begun[before.saturating_sub(1)..]) else {
            return;
        };
        let end = before.saturating_sub(1) + end + 2;
        event(&begun[..end], each);
        rest = &data[end - before..];
        begun.clear();
    }
    while let Some(end) = END.find(rest) {
        event(&rest[..end], each);
        rest = &rest[end + 2..];
    }
    begun.extend_from_slice(rest);
}

/// Passes the price of each tick to `each`. The benchmark publishes whole prices. Every server
/// forwards a whole price unchanged or with zeros behind it.
fn event(event: &[u8], each: &mut impl FnMut(u64)) {
    let mut rest = event;
    while let Some(at) = PRICE.find(rest) {
        rest = &rest[at + PRICE.needle().len()..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit());
        each(digits.fold(0, |price, digit| price * 10 + u64::from(digit - b'0')));
        // Some servers send several ticks in one event, as an array.
        if !event.starts_with(b"event: data\n") {
            return;
        }
    }
}

impl From<WireError> for BenchError {
    fn from(error: WireError) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(answer: &str, cut: usize) -> Vec<u64> {
        let (mut wire, mut seen) = (Wire::new(), Vec::new());
        for part in answer.as_bytes().chunks(cut) {
            wire.feed(part, |price| seen.push(price)).unwrap();
        }
        assert!(wire.open());
        seen
    }

    #[test]
    fn every_tick_is_found_at_every_split() {
        let tick = |price: &str| {
            format!(
                "event: tick\ndata: {{\"symbol\":\"A\",\"price\":{price},\"change\":3}}\nid: A\n\n"
            )
        };
        let (one, two) = (
            format!("retry: 5\n: x\n{}", tick("7")),
            tick("8.0") + &tick("9"),
        );
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            one.len(),
            two.len()
        );
        let bare = format!("HTTP/1.0 200 OK\r\n\r\n{one}: keep-alive\n{two}");
        for cut in 1..chunked.len() {
            assert_eq!(prices(&chunked, cut), [7, 8, 9]);
            assert_eq!(prices(&bare, cut), [7, 8, 9]);
        }
    }

    #[test]
    fn a_refusal_names_the_status() {
        let error = Wire::new()
            .feed(b"HTTP/1.1 404 Not Found\r\n\r\n", |_| ())
            .unwrap_err();
        assert!(error.to_string().contains("404 not found"), "{error}");
    }
}
