//! Payloads: bytes that are shared by many streams.

use bytes::Bytes;

/// Maximum size of the head of a chunk: eight hex digits and a line break.
const CHUNK_HEAD_BYTES: usize = 10;

/// Unused capacity, in bytes, that is too small to be worth a copy.
pub(super) const MAX_SPARE_BYTES: usize = 4096;

/// The line break at the end of a chunk.
const END: &[u8] = b"\r\n";

/// Complete events in one buffer, shared by all streams that are sent the same events. The buffer
/// is already framed as an HTTP/1.1 chunk, for sockets that a lane writes directly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    chunk: Bytes,
    /// Size of the head of the chunk, in bytes.
    head: usize,
}

/// A payload in progress, with room in front for the head of the chunk.
#[derive(Debug)]
pub(crate) struct PayloadBuilder(Vec<u8>);

impl PayloadBuilder {
    /// Creates an empty builder. It allocates no memory until bytes are appended.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the size of the events, in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.0.len().saturating_sub(CHUNK_HEAD_BYTES)
    }

    /// Returns the buffer to append events to.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        self.bytes_of(0)
    }

    /// Returns the buffer to append about `length` bytes to. The buffer reserves this size, so that
    /// it is not moved while it grows.
    pub(crate) fn bytes_of(&mut self, length: usize) -> &mut Vec<u8> {
        if self.0.is_empty() {
            self.0.reserve(CHUNK_HEAD_BYTES + length + END.len());
            self.0.resize(CHUNK_HEAD_BYTES, 0);
        }
        &mut self.0
    }

    /// Builds the payload.
    pub(crate) fn finish(mut self) -> Payload {
        let length = self.len();
        if length == 0 {
            return Payload::default();
        }
        // A slow consumer may hold the payload for a long time, so unused memory is freed.
        if self.0.capacity() > length + length / 4 + MAX_SPARE_BYTES {
            self.0.shrink_to(length + CHUNK_HEAD_BYTES + END.len());
        }
        let start = write_chunk_head(length, &mut self.0[..CHUNK_HEAD_BYTES]);
        self.0.extend_from_slice(END);
        Payload {
            chunk: Bytes::from(self.0).slice(start..),
            head: CHUNK_HEAD_BYTES - start,
        }
    }
}

/// Writes the head of a chunk to the end of `head`: the length in hex digits and a line break. Returns
/// where it begins. Each payload of a single tick has one, so this is not left to `format`.
fn write_chunk_head(mut length: usize, head: &mut [u8]) -> usize {
    let mut start = head.len() - END.len();
    head[start..].copy_from_slice(END);
    loop {
        start -= 1;
        head[start] = b"0123456789abcdef"[length & 15];
        length >>= 4;
        if length == 0 {
            return start;
        }
    }
}

impl Payload {
    /// Creates a payload with a copy of `events`.
    pub(crate) fn of(events: &[u8]) -> Self {
        let mut draft = PayloadBuilder::new();
        draft.bytes().extend_from_slice(events);
        draft.finish()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Returns the size of the events, in bytes.
    pub(crate) const fn len(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            self.chunk.len() - self.head - END.len()
        }
    }

    /// Returns the events.
    pub(crate) fn events(&self) -> &[u8] {
        &self.chunk[self.head..self.head + self.len()]
    }

    /// Returns the events, framed as a chunk.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Returns a shared reference to `part`, which must lie within this payload.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        self.chunk.slice_ref(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_a_view_of_the_events_and_a_view_as_a_chunk() {
        for length in [1, 15, 16, 300, 70_000] {
            let payload = Payload::of(&vec![b'x'; length]);
            assert_eq!(payload.len(), length);
            assert_eq!(payload.events(), vec![b'x'; length]);
            let chunk = [
                format!("{length:x}\r\n").as_bytes(),
                &vec![b'x'; length],
                b"\r\n",
            ]
            .concat();
            assert_eq!(payload.chunk(), &chunk);
        }
        assert!(Payload::of(b"").is_empty() && Payload::default().events().is_empty());
    }
}
