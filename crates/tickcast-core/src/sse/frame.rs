//! The encoded bytes of a tick. A tick is encoded once for all readers.

use triomphe::{Arc, ThinArc};

use super::fields::{END, ID};
use crate::tick::Derived;
use crate::{Check, MAX_SYMBOL_LEN, Position, Seq, SourceId, Symbol, Tick};

/// Start of a tick up to the JSON: the event field, and the start of the data.
const TICK: &[u8] = b"event: tick\ndata: ";

/// Maximum length of the end of a tick: a symbol as its id, and the blank line.
const MAX_ID_LEN: usize = ID.len() + MAX_SYMBOL_LEN + END.len();

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
///
/// A frame is one pointer, because the market of each lane has one for each symbol. So the frame also
/// knows its place in the log. The frame of a removal has a place and no bytes.
#[derive(Debug, Clone)]
pub struct Frame(
    /// The bytes of the event.
    ThinArc<Header, u8>,
);

/// What a frame has beside its bytes.
#[derive(Debug, Clone, Copy)]
struct Header {
    place: Place,
    /// Number of bytes up to the end of the JSON.
    json_end: u32,
}

/// Memory for a frame in addition to its bytes: the header, the reference count and the length.
pub(crate) const FRAME_OVERHEAD: usize = size_of::<Header>() + 2 * size_of::<usize>();

/// The place of a frame in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: Seq,
    /// Check of the log up to and including this entry.
    pub(crate) check: Check,
    pub(crate) source: SourceId,
}

impl Place {
    /// The place of a frame that is not in the log yet.
    pub(crate) const NONE: Self = Self {
        seq: Seq::ZERO,
        check: Check::from_bits(0),
        source: SourceId::UNKNOWN,
    };
}

impl Frame {
    /// Makes a frame from JSON and an id that come from outside. Line breaks are removed from the
    /// JSON, because a line break would allow forged events. An id with a line break or a NUL is
    /// left out completely, because readers would ignore or cut such an id.
    #[must_use]
    pub fn verbatim(id: &str, json: &str) -> Self {
        let mut event = TICK.to_vec();
        event.extend(json.bytes().filter(|b| !matches!(b, b'\r' | b'\n')));
        let json_end = event.len();
        if !id.contains(['\r', '\n', '\0']) {
            event.extend_from_slice(ID);
            event.extend_from_slice(id.as_bytes());
        }
        event.extend_from_slice(END);
        Self::of(&event, json_end)
    }

    /// Restores a frame from its [`json`](Self::json), which this module encoded before.
    #[must_use]
    pub fn restored(symbol: Symbol, json: &[u8]) -> Self {
        let mut event = Vec::with_capacity(TICK.len() + json.len() + MAX_ID_LEN);
        event.extend_from_slice(TICK);
        event.extend_from_slice(json);
        Self::with_id(&symbol, &mut event)
    }

    /// Encodes a tick. `scratch` is reused memory, so that only the frame itself is allocated.
    pub(crate) fn encode(tick: &Tick, derived: &Derived, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(TICK);
        write_json(tick, derived, scratch);
        Self::with_id(&tick.symbol, scratch)
    }

    /// Makes a frame of an event without an id. The id is the symbol.
    fn with_id(symbol: &Symbol, event: &mut Vec<u8>) -> Self {
        let json_end = event.len();
        event.extend_from_slice(ID);
        event.extend_from_slice(symbol.as_bytes());
        event.extend_from_slice(END);
        Self::of(event, json_end)
    }

    /// Makes the frame of a removal.
    pub(crate) fn removal() -> Self {
        Self::of(&[], 0)
    }

    fn of(event: &[u8], json_end: usize) -> Self {
        let header = Header {
            place: Place::NONE,
            // Ticks are far shorter than 4 GiB.
            json_end: json_end as u32,
        };
        Self(ThinArc::from_header_and_slice(header, event))
    }

    /// Returns the frame with its place in the log. The bytes are copied only if the frame is shared
    /// and has another place.
    pub(crate) fn at(mut self, place: Place) -> Self {
        if *self.place() == place {
            return self;
        }
        let set = self.0.with_arc_mut(|frame| {
            let frame = Arc::get_mut(frame)?;
            frame.header_mut().place = place;
            Some(())
        });
        if set.is_some() {
            return self;
        }
        let header = Header {
            place,
            ..self.0.header.header
        };
        Self(ThinArc::from_header_and_slice(header, &self.0.slice))
    }

    /// Returns the place in the log.
    #[inline]
    pub(crate) fn place(&self) -> &Place {
        &self.0.header.header.place
    }

    /// Returns the position of the frame in the log.
    #[inline]
    pub(crate) fn position(&self) -> Position {
        let Place { seq, check, .. } = *self.place();
        Position::new(seq, check)
    }

    /// Checks whether this is the frame of a removal.
    #[inline]
    pub(crate) fn is_removal(&self) -> bool {
        self.0.slice.is_empty()
    }

    #[inline]
    fn json_end(&self) -> usize {
        self.0.header.header.json_end as usize
    }

    /// Returns the whole event with the symbol as its id, including the blank line.
    #[must_use]
    #[inline]
    pub fn event(&self) -> &[u8] {
        &self.0.slice
    }

    /// Returns the event line and the data line, up to the end of the JSON. The caller can append
    /// another id.
    #[must_use]
    #[inline]
    pub fn without_id(&self) -> &[u8] {
        &self.0.slice[..self.json_end()]
    }

    /// Returns the JSON object only.
    #[must_use]
    #[inline]
    pub fn json(&self) -> &[u8] {
        &self.0.slice[TICK.len()..self.json_end()]
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

    #[test]
    fn event_json_and_event_without_id_share_one_buffer() {
        let tick = Tick::from_json(br#"{"symbol":"A","price":0.10,"bid":0.09}"#).unwrap();
        let derived = Derived {
            change: tick.price,
            change_pct: None,
            time: Time::from_millis(5).unwrap(),
            n: 7,
        };
        let frame = Frame::encode(&tick, &derived, &mut Vec::new());
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
    fn a_shared_frame_keeps_its_place() {
        let place = |seq| Place {
            seq: Seq::new(seq),
            check: Check::from_bits(5),
            source: SourceId(2),
        };
        let first = Frame::verbatim("A", "{}").at(place(7));
        let same = first.clone().at(place(7));
        assert_eq!(first.event().as_ptr(), same.event().as_ptr());
        let other = first.clone().at(place(8));
        assert_eq!((first.place(), other.place()), (&place(7), &place(8)));
        assert_eq!(first.event(), other.event());
    }

    #[test]
    fn line_breaks_cannot_forge_an_event() {
        let frame = Frame::verbatim("A\nevent: gone", "{\"x\":\n1}");
        assert_eq!(frame.event(), b"event: tick\ndata: {\"x\":1}\n\n");
    }
}
