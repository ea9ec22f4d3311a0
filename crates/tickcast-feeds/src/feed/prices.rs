//! Prices from a feed's connections: checks and publishes them.

use tickcast::stats::FeedEventKind;
use tickcast::{SourceState, Tick, Time};
use tokio::time::Instant;

use super::Run;
use crate::connection::{End, Frame};
use crate::sequence_tracker::Freshness;
use crate::{DecodeError, EventTime, FeedEvent, FeedPrice, wire};

/// Maximum number of held prices of a connection that waits to take over.
const MAX_HELD_PRICES: usize = 1 << 16;

impl Run {
    /// Handles received frames.
    pub(super) fn handle_frame(&mut self, i: usize, frames: Vec<Frame>, now: Instant) {
        self.feed
            .publisher
            .reporter()
            .count(FeedEventKind::Frames, frames.len() as u64);
        let (id, waits) = (self.calls[i].id, self.must_wait(i));
        let mut heard = Vec::new();
        for frame in frames {
            match frame {
                Frame::Text(text) => {
                    let result = self.calls[i].conversation.on_text(&text, &mut heard);
                    if let Err(garbled) = result {
                        let shown = wire::excerpt(&text);
                        heard.push(FeedEvent::Undecodable(DecodeError(format!(
                            "{garbled}: {shown}"
                        ))));
                    }
                }
                Frame::Binary => heard.push(FeedEvent::Unknown("a binary frame".to_owned())),
            }
        }
        let (mut ticks, mut prices, mut failed) = (Vec::new(), false, None);
        for heard in heard {
            match heard {
                FeedEvent::Price(print) => {
                    prices = true;
                    self.calls[i].halted &= print.snapshot;
                    if waits {
                        self.calls[i].held.push(*print);
                    } else {
                        ticks.extend(self.accept_price(*print, false));
                    }
                }
                FeedEvent::NoQuote => self
                    .feed
                    .publisher
                    .reporter()
                    .count(FeedEventKind::Unquoted, 1),
                FeedEvent::Undecodable(garbled) => self.standing.log_decode_error(&garbled),
                FeedEvent::Lost(missing) => self.count_missing(missing),
                FeedEvent::Refused { symbol, why } => self.standing.refused(symbol, why),
                FeedEvent::Failed(why) => failed = Some(why),
                FeedEvent::Halted(why) => {
                    self.calls[i].halted = true;
                    self.standing.set_halted(why);
                }
                FeedEvent::Open => {
                    self.calls[i].halted = false;
                    self.standing.open();
                }
                FeedEvent::GoingAway => self.replace(i, now),
                FeedEvent::Send(text) => {
                    let _ = self.calls[i].outbox.send(text);
                }
                FeedEvent::Nothing => {}
                FeedEvent::Unknown(kind) => self.standing.log_unknown_frame(kind),
            }
        }
        if prices && waits {
            self.hold_prices(i, now);
        } else if prices {
            self.priced(i, now, &ticks);
        }
        self.unpublished.extend(ticks);
        // The feed may have closed other connections, so the index may have changed.
        let i = self.calls.iter().position(|call| call.id == id);
        if let (Some(why), Some(i)) = (failed, i) {
            self.drop_connection(i, End::plain(why), now);
        }
    }

    /// Returns whether connection `i` waits to take over from a connection that still brings
    /// prices.
    pub(super) fn must_wait(&self, i: usize) -> bool {
        !self.calls[i].leaving
            && self
                .calls
                .iter()
                .any(|call| call.leaving && call.has_prices())
    }

    /// Records prices of a connection that waits to take over.
    fn hold_prices(&mut self, i: usize, now: Instant) {
        let call = &mut self.calls[i];
        call.last_price = now;
        call.first_price.get_or_insert(now);
        if call.held.len() >= MAX_HELD_PRICES {
            self.take_over(i);
        }
    }

    /// Lets a connection take over. The feed publishes the held prices that the old connection did
    /// not send.
    pub(super) fn take_over(&mut self, i: usize) {
        let call = &mut self.calls[i];
        let (id, halted, held) = (call.id, call.halted, std::mem::take(&mut call.held));
        self.calls.retain(|call| call.id == id || !call.leaving);
        let ticks: Vec<_> = held
            .into_iter()
            .filter_map(|print| self.accept_price(print, true))
            .collect();
        if !halted {
            self.standing.set_state(SourceState::Live);
        }
        self.standing.set_priced(&ticks);
        self.unpublished.extend(ticks);
    }

    /// Returns the tick of a price if the tick must be published, and corrects the tick's time. An
    /// old price that was `held` is a duplicate, not a straggler.
    fn accept_price(&mut self, mut print: FeedPrice, held: bool) -> Option<Tick> {
        let wall = Time::from(std::time::SystemTime::now());
        let publisher = &self.feed.publisher;
        let time = match print.when {
            EventTime::At(ms) if wire::is_sound(ms, wall.as_millis()) => Time::from_millis(ms).ok(),
            EventTime::At(_) | EventTime::Unreadable => {
                publisher.reporter().count(FeedEventKind::BadTimes, 1);
                None
            }
            EventTime::Missing => None,
        };
        match self.marks.check(&mut print, time, wall) {
            Freshness::New { missing } => {
                if missing > 0 {
                    self.count_missing(missing);
                }
                return Some(print.tick);
            }
            Freshness::Straggler if !held => {
                publisher.reporter().count(FeedEventKind::Stragglers, 1);
            }
            Freshness::Straggler | Freshness::Duplicate => {
                publisher.reporter().count(FeedEventKind::Duplicates, 1);
            }
        }
        None
    }

    fn count_missing(&self, missing: u64) {
        self.feed.publisher.reporter().count(FeedEventKind::Gaps, 1);
        self.feed
            .publisher
            .reporter()
            .count(FeedEventKind::Missing, missing);
    }

    /// Records prices of a connection. This connection is now the active one.
    fn priced(&mut self, i: usize, now: Instant, ticks: &[Tick]) {
        let call = &mut self.calls[i];
        call.last_price = now;
        let (id, first, steady, halted) =
            (call.id, !call.has_prices(), call.is_steady(), call.halted);
        call.first_price.get_or_insert(now);
        if first && !call.leaving {
            self.calls.retain(|call| call.id == id || !call.leaving);
        }
        if steady {
            self.is_well();
        }
        // A snapshot of a closed market has only known prices, so a stale feed stays stale. Prices
        // from before a report that the exchange is closed do not change the state either.
        let old = ticks.is_empty() && self.standing.is_stale();
        if !halted && !old {
            self.standing.set_state(SourceState::Live);
        }
        self.standing.set_priced(ticks);
    }

    /// Publishes the ticks of the last event. While the disk is slow, the exchange waits.
    pub(super) async fn publish(&mut self) {
        let ticks = std::mem::take(&mut self.unpublished);
        let mut refused = None;
        let each = |i, outcome| {
            if let Err(error) = outcome {
                refused = Some((i, error));
            }
        };
        self.feed.publisher.publish_all(&ticks, each).await;
        if let Some((i, error)) = refused {
            self.standing
                .log_decode_error(&DecodeError(format!("{}: {error}", ticks[i].symbol)));
        }
    }
}
