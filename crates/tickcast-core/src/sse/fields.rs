//! The fields that events are made of. Each field but the first starts with the line break that
//! ends the field before.

use crate::EventId;

/// Start of an event: the field with its name follows.
pub(super) const EVENT: &[u8] = b"event: ";
/// Start of the data.
pub(super) const DATA: &[u8] = b"\ndata: ";
/// Start of the id.
pub(super) const ID: &[u8] = b"\nid: ";
/// End of an event: the blank line.
pub(super) const END: &[u8] = b"\n\n";

/// Appends the id, if there is one, and ends the event.
pub(super) fn finish(id: Option<EventId>, out: &mut Vec<u8>) {
    if let Some(id) = id {
        out.extend_from_slice(ID);
        id.write(out);
    }
    out.extend_from_slice(END);
}
