//! Bytes on their way to many readers at once.

use bytes::Bytes;

/// Room for the longest chunk head: eight hex digits and a line break.
const CHUNK_HEAD_BYTES: usize = 10;

/// Unused room that is not worth a copy.
const MAX_SPARE_BYTES: usize = 4096;

/// The line break that ends a chunk.
const END: &[u8] = b"\r\n";

/// Whole events, shared by everyone who is sent the same, and already framed as an HTTP/1.1 chunk for those whose socket
/// is written directly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    chunk: Bytes,
    /// How long the chunk's head is.
    head: usize,
}

/// A piece being written, with room in front for the chunk's head.
#[derive(Debug)]
pub(crate) struct PayloadBuilder(Vec<u8>);

impl PayloadBuilder {
    /// An empty one. It takes no memory until something is appended.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many bytes of events it has.
    pub(crate) const fn len(&self) -> usize {
        self.0.len().saturating_sub(CHUNK_HEAD_BYTES)
    }

    /// Where to append.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        self.bytes_of(0)
    }

    /// Where to append what will probably be as long as `length`: it does not have to move while it grows.
    pub(crate) fn bytes_of(&mut self, length: usize) -> &mut Vec<u8> {
        if self.0.is_empty() {
            self.0.reserve(CHUNK_HEAD_BYTES + length + END.len());
            self.0.resize(CHUNK_HEAD_BYTES, 0);
        }
        &mut self.0
    }

    /// Closes it.
    pub(crate) fn finish(mut self) -> Payload {
        let length = self.len();
        if length == 0 {
            return Payload::default();
        }
        // Kept by a reader that is slow, it is to take no more than it is long.
        if self.0.capacity() > length + length / 4 + MAX_SPARE_BYTES {
            self.0.shrink_to(length + CHUNK_HEAD_BYTES + END.len());
        }
        let head = format!("{length:x}\r\n");
        let start = CHUNK_HEAD_BYTES - head.len();
        self.0[start..CHUNK_HEAD_BYTES].copy_from_slice(head.as_bytes());
        self.0.extend_from_slice(END);
        Payload { chunk: Bytes::from(self.0).slice(start..), head: head.len() }
    }
}

impl Payload {
    /// A copy of `events`.
    pub(crate) fn of(events: &[u8]) -> Self {
        let mut draft = PayloadBuilder::new();
        draft.bytes().extend_from_slice(events);
        draft.finish()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// How many bytes of events it holds.
    pub(crate) const fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.chunk.len() - self.head - END.len() }
    }

    /// The events.
    pub(crate) fn events(&self) -> &[u8] {
        &self.chunk[self.head..self.head + self.len()]
    }

    /// The events as a chunk.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// A share in `part`, which lies within this piece.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        self.chunk.slice_ref(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_buffer_two_views() {
        for length in [1, 15, 16, 300, 70_000] {
            let payload = Payload::of(&vec![b'x'; length]);
            assert_eq!(payload.len(), length);
            assert_eq!(payload.events(), vec![b'x'; length]);
            let chunk = [format!("{length:x}\r\n").as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
            assert_eq!(payload.chunk(), &chunk);
        }
        assert!(Payload::of(b"").is_empty() && Payload::default().events().is_empty());
    }
}
