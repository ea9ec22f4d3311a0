//! The faults that wait for the market's next events, and what becomes of an event under them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Message;

use crate::fault::BadTime;
use crate::market::Tick;

/// A trade on its way to the subscribers.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    pub(crate) tick: Arc<Tick>,
    pub(crate) time: Option<BadTime>,
    /// Whether a fault rests on it, so that no pacing may leave it out.
    pub(crate) forced: bool,
}

/// What every connection gets to know, in order.
#[derive(Debug, Clone)]
pub(crate) enum Pulse {
    /// A trade as it should be, but perhaps for its time.
    Trade(Marked),
    /// A trade whose messages are sent twice, byte for byte.
    Twice(Marked),
    /// Two trades of one symbol, in order; their messages go out the other way round.
    Swapped(Marked, Marked),
    /// A trade nobody is told about.
    Withheld(Marked),
    /// The first symbol without a quote.
    Unquoted(Arc<Tick>),
    /// Not of the market, but for the connections open now.
    Order(Order),
}

/// What a fault does to the connections that are open when it strikes.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Silence,
    Dead,
    Frame(Message),
    Abrupt,
    Close(u16, String),
    Shutdown,
    System(String),
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) gap: u32,
    pub(crate) duplicates: u32,
    pub(crate) swaps: u32,
    pub(crate) times: VecDeque<BadTime>,
    /// The first trade of a swap, until the second one of its symbol comes.
    held: Option<Marked>,
}

impl Script {
    /// What becomes of a trade; `None` while it is held back for a swap.
    pub(crate) fn apply(&mut self, tick: Arc<Tick>) -> Option<Pulse> {
        if self.gap > 0 {
            self.gap -= 1;
            return Some(Pulse::Withheld(Marked { tick, time: None, forced: false }));
        }
        let time = self.times.pop_front();
        let mut marked = Marked { tick, time, forced: time.is_some() };
        if let Some(held) = self.held.take() {
            if held.tick.instrument.index == marked.tick.instrument.index {
                marked.forced = true;
                return Some(Pulse::Swapped(held, marked));
            }
            self.held = Some(held);
        } else if self.swaps > 0 {
            self.swaps -= 1;
            marked.forced = true;
            self.held = Some(marked);
            return None;
        }
        if self.duplicates > 0 {
            self.duplicates -= 1;
            marked.forced = true;
            return Some(Pulse::Twice(marked));
        }
        Some(Pulse::Trade(marked))
    }
}
