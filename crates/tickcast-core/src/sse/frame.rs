//! The encoded bytes of a tick. A tick is encoded once for all readers.

use std::sync::Arc;

use super::fields::{END, ID};
use crate::tick::Derived;
use crate::{Price, Symbol, Tick};

/// Start of a tick up to the JSON: the event field, and the start of the data.
const TICK: &[u8] = b"event: tick\ndata: ";

/// A tick as an event of a stream, shared by all readers that receive the tick. Returned by
/// [`Market::newest`](crate::Market::newest) and contained in
/// [`EntryKind::Tick`](crate::EntryKind::Tick). Cheap to clone.
///
/// ```text
/// event: tick
/// data: {"symbol":"AAPL","price":189.50,"change":0.25,"change_pct":0.1321,"time":1782907200123,"n":1042}
/// id: AAPL
/// ```
///
/// `id` comes last. If an event is cut off, its reader gets no id of a position that the reader has
/// not reached.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The event, and after it the text of the previous close that came with the tick, if any.
    bytes: Arc<[u8]>,
    /// End of the JSON in `bytes`.
    json_end: u32,
    /// End of the event in `bytes`.
    event_end: u32,
}

impl Frame {
    /// Makes a frame from JSON and an id that come from outside. Line breaks are removed from the
    /// JSON, because a line break would allow forged events. An id with a line break or a NUL is
    /// left out completely, because readers would ignore or cut such an id.
    #[must_use]
    pub fn verbatim(id: &str, json: &str) -> Self {
        let json: Vec<u8> = json
            .bytes()
            .filter(|b| !matches!(b, b'\r' | b'\n'))
            .collect();
        if id.contains(['\r', '\n', '\0']) {
            let bytes = [TICK, &json, END].concat();
            return Self {
                json_end: (bytes.len() - END.len()) as u32,
                event_end: bytes.len() as u32,
                bytes: bytes.into(),
            };
        }
        Self::assemble(&json, id.as_bytes(), &[])
    }

    /// Restores a frame from its [`json`](Self::json), which this module encoded before.
    #[must_use]
    pub fn restored(symbol: Symbol, json: &[u8]) -> Self {
        Self::assemble(json, symbol.as_bytes(), &[])
    }

    /// Encodes a tick, and the previous close that is new with the tick. `scratch` is reused
    /// memory, so that only the frame itself is allocated.
    pub(crate) fn encode(
        tick: &Tick,
        derived: &Derived,
        new_close: Option<Price>,
        scratch: &mut Vec<u8>,
    ) -> Self {
        scratch.clear();
        write_json(tick, derived, scratch);
        let json = scratch.len();
        if let Some(close) = new_close {
            close.write(scratch);
        }
        let (json, close) = scratch.split_at(json);
        Self::assemble(json, tick.symbol.as_bytes(), close)
    }

    fn assemble(json: &[u8], id: &[u8], close: &[u8]) -> Self {
        let json_end = TICK.len() + json.len();
        let event_end = json_end + ID.len() + id.len() + END.len();
        let parts = [TICK, json, ID, id, END, close];
        let mut bytes = Arc::from_iter(std::iter::repeat_n(0, event_end + close.len()));
        // The buffer was created above, so no other owner exists.
        if let Some(buffer) = Arc::<[u8]>::get_mut(&mut bytes) {
            let mut at = 0;
            for part in parts {
                buffer[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
        Self {
            bytes,
            json_end: json_end as u32,
            event_end: event_end as u32,
        }
    }

    /// Returns the whole event with the symbol as its id, including the blank line.
    #[must_use]
    pub fn event(&self) -> &[u8] {
        &self.bytes[..self.event_end as usize]
    }

    /// Returns the previous close that is new with this tick, if there is one. Readers do not
    /// receive it; a delayed market needs it.
    #[must_use]
    pub fn new_close(&self) -> Option<Price> {
        let close = &self.bytes[self.event_end as usize..];
        Price::read_back(std::str::from_utf8(close).ok()?).ok()
    }

    /// Returns the number of bytes of the frame in memory.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the event line and the data line, up to the end of the JSON. The caller can append
    /// another id.
    #[must_use]
    pub fn without_id(&self) -> &[u8] {
        &self.bytes[..self.json_end as usize]
    }

    /// Returns the JSON object only.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.bytes[TICK.len()..self.json_end as usize]
    }
}

/// Writes the JSON: first `symbol`, `price` and `change` in this order, then the other derived
/// fields, then the extras.
fn write_json(tick: &Tick, derived: &Derived, out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    // The characters of a symbol need no escape in JSON.
    out.extend_from_slice(b"{\"symbol\":\"");
    out.extend_from_slice(tick.symbol.as_bytes());
    out.extend_from_slice(b"\",\"price\":");
    tick.price.write(out);
    out.extend_from_slice(b",\"change\":");
    derived.change.write(out);
    if let Some(percent) = derived.change_pct {
        out.extend_from_slice(b",\"change_pct\":");
        percent.write(out);
    }
    out.extend_from_slice(b",\"time\":");
    out.extend_from_slice(number.format(derived.time.as_millis()).as_bytes());
    out.extend_from_slice(b",\"n\":");
    out.extend_from_slice(number.format(derived.n).as_bytes());
    out.extend_from_slice(tick.extras.as_json());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    fn derived(tick: &Tick) -> Derived {
        Derived {
            change: tick.price,
            change_pct: None,
            time: Time::from_millis(5).unwrap(),
            n: 7,
        }
    }

    #[test]
    fn event_json_and_event_without_id_share_one_buffer() {
        let tick = Tick::from_json(br#"{"symbol":"A","price":0.10,"bid":0.09}"#).unwrap();
        let derived = derived(&tick);
        let frame = Frame::encode(&tick, &derived, None, &mut Vec::new());
        let json = r#"{"symbol":"A","price":0.10,"change":0.10,"time":5,"n":7,"bid":0.09}"#;
        assert_eq!(frame.json(), json.as_bytes());
        assert_eq!(
            frame.without_id(),
            format!("event: tick\ndata: {json}").as_bytes()
        );
        assert_eq!(
            frame.event(),
            format!("event: tick\ndata: {json}\nid: A\n\n").as_bytes()
        );
    }

    #[test]
    fn a_new_previous_close_stays_behind_the_event() {
        let tick = Tick::from_json(br#"{"symbol":"A","price":2}"#).unwrap();
        let derived = derived(&tick);
        let encode = |close| Frame::encode(&tick, &derived, close, &mut Vec::new());
        let (with, without) = (encode(Some(tick.price)), encode(None));
        assert_eq!(with.event(), without.event());
        assert_eq!(with.json(), without.json());
        assert_eq!(with.new_close(), Some(tick.price));
        assert_eq!(without.new_close(), None);
    }

    #[test]
    fn line_breaks_cannot_forge_an_event() {
        let frame = Frame::verbatim("A\nevent: gone", "{\"x\":\n1}");
        assert_eq!(frame.event(), b"event: tick\ndata: {\"x\":1}\n\n");
    }
}
