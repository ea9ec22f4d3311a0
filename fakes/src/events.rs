//! The faults that wait for the market's next events, and their effect on an event.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Message;

use crate::fault::BadTime;
use crate::market::Tick;

/// A trade and its faults.
#[derive(Debug, Clone)]
pub(crate) struct MarkedTrade {
    pub(crate) tick: Arc<Tick>,
    pub(crate) time: Option<BadTime>,
    /// Whether a fault applies to the trade. Such a trade must not be left out by a rate limit.
    pub(crate) forced: bool,
}

/// An event that every connection receives, in order.
#[derive(Debug, Clone)]
pub(crate) enum MarketEvent {
    /// A correct trade, except perhaps for its time.
    Trade(MarkedTrade),
    /// A trade whose messages are sent twice, byte for byte.
    Twice(MarkedTrade),
    /// Two trades of one symbol, in order. Their messages are sent in reverse order.
    Swapped(MarkedTrade, MarkedTrade),
    /// A trade that is not sent.
    Withheld(MarkedTrade),
    /// The first symbol without a quote.
    Unquoted(Arc<Tick>),
    /// A fault of the open connections, not an event of the market.
    Fault(ConnectionFault),
}

/// The effect of a fault on the connections that are open at the time of the fault.
#[derive(Debug, Clone)]
pub(crate) enum ConnectionFault {
    Silence,
    Dead,
    Frame(Message),
    Abrupt,
    Close(u16, String),
    Shutdown,
    System(String),
}

/// The waiting faults.
#[derive(Debug, Default)]
pub(crate) struct PendingFaults {
    pub(crate) gap: u32,
    pub(crate) duplicates: u32,
    pub(crate) swaps: u32,
    pub(crate) times: VecDeque<BadTime>,
    /// The first trade of a swap, until the second trade of the same symbol.
    held: Option<MarkedTrade>,
}

impl PendingFaults {
    /// Applies the waiting faults to a trade. Returns `None` if the trade waits for a swap.
    pub(crate) fn apply(&mut self, tick: Arc<Tick>) -> Option<MarketEvent> {
        if self.gap > 0 {
            self.gap -= 1;
            return Some(MarketEvent::Withheld(MarkedTrade {
                tick,
                time: None,
                forced: false,
            }));
        }
        let time = self.times.pop_front();
        let mut marked = MarkedTrade {
            tick,
            time,
            forced: time.is_some(),
        };
        if let Some(held) = self.held.take() {
            if held.tick.instrument.index == marked.tick.instrument.index {
                marked.forced = true;
                return Some(MarketEvent::Swapped(held, marked));
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
            return Some(MarketEvent::Twice(marked));
        }
        Some(MarketEvent::Trade(marked))
    }
}
