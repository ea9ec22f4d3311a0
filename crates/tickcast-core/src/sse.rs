//! Everything that writes Server-Sent Events. All bytes of a stream come from here; the writers of
//! sockets and bodies only pass the bytes on.
//!
//! - [`Frame`]: a tick as an event, encoded once for all readers, and [`TickView`], which reads its
//!   JSON back;
//! - [`Notice`]: every event other than a tick;
//! - [`EventFormat`]: the ids of the events, and which notices a stream has;
//! - [`render`]: the events that a reader at a position receives next;
//! - [`preamble`], [`KEEP_ALIVE`] and [`busy`]: the bytes of a stream around its events.

mod fields;
mod format;
mod frame;
mod notice;
pub mod render;
mod stream;
mod view;

pub use format::EventFormat;
pub use frame::Frame;
pub(crate) use frame::{FRAME_OVERHEAD, Place};
pub use notice::Notice;
pub use stream::{KEEP_ALIVE, busy, preamble};
pub use view::TickView;
