//! Follows another sequencer: applies the entries of its tape, in the same order.

use super::{Sequenced, Sequencer};
use crate::quote::ClockBounds;
use crate::{Frame, Now, Recorded, SourceId};

/// One entry of the tape of another sequencer. Pass it to [`Sequencer::follow`].
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// The entry.
    pub recorded: Recorded<'a>,
    /// The tick as it was encoded by the other sequencer, if it is in memory. It is then shared.
    pub frame: Option<&'a Frame>,
    /// Source of the entry.
    pub source: SourceId,
    /// Wall clock when the other sequencer accepted the entry, and the uptime clock now.
    pub now: Now,
}

impl Sequencer {
    /// Applies the next entry of the tape of another sequencer. The two must have the same epoch,
    /// and the entry must be the one after [`cursor`](Self::cursor).
    pub fn follow(&mut self, followed: Followed<'_>) -> Sequenced {
        let Followed {
            recorded,
            frame,
            source,
            now,
        } = followed;
        let symbol = recorded.symbol;
        let id = self.market.add_symbol(symbol);
        self.make_places(id);
        let quote = self.quotes[id.index()].as_ref();
        let previous = quote.map_or(SourceId::UNKNOWN, |quote| quote.source);
        let before = self.kept(id);
        let tick = recorded.json.map(|json| {
            let shared = frame.cloned();
            shared.unwrap_or_else(|| Frame::restored(symbol, json))
        });
        let entry = self.next_entry((id, source), tick, now);
        let bounds = ClockBounds::new(now.wall, self.limits.max_skew);
        let price = self.reapply(id, recorded, bounds);
        if let Some(quote) = &mut self.quotes[id.index()] {
            quote.source = source;
        }
        let seq = self.push(entry, price, before);
        Sequenced::accepted(seq, (id, source), previous)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        Digest, Epoch, Limits, Price, Restore, Run, Seq, SourceOptions, Symbol, Tick, Time,
    };

    fn now(millis: i64) -> Now {
        Now {
            wall: Time::from_millis(1_782_907_200_000 + millis).unwrap(),
            uptime: Duration::from_millis(millis.unsigned_abs()),
        }
    }

    /// A follower that has applied every entry has the same market, the same candles and the same
    /// cursor, whether it shares the frames or reads the bytes.
    #[test]
    fn a_follower_reaches_the_same_state() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (epoch, limits) = (Epoch::new(5), Limits::default());
        let mut leader = Sequencer::new(epoch, limits);
        let start = (Seq::ZERO, Digest::START);
        let mut shared = Restore::new(epoch, limits, start).done();
        let mut read = Restore::new(epoch, limits, start).done();
        for step in 0..3000 {
            let at = now(i64::from(step) * 700);
            let symbol = Symbol::new(["A", "B", "C"][rng.usize(..3)]).unwrap();
            if rng.u8(..20) == 0 {
                leader.remove(&symbol, at);
            } else {
                let price = Price::from_units(rng.i64(1..9999), 2).unwrap();
                let mut tick = Tick::new(symbol, price);
                if rng.u8(..3) == 0 {
                    tick.prev_close = Some(Price::from_units(rng.i64(1..4), 0).unwrap());
                }
                let options = SourceOptions::default();
                leader
                    .accept(&tick, SourceId(rng.u16(..3)), options, at)
                    .unwrap();
            }
            if rng.u8(..4) > 0 {
                continue;
            }
            for follower in [&mut shared, &mut read] {
                let from = follower.cursor().seq();
                let runs = leader.tape().runs(from).unwrap();
                for (seq, entry) in runs.iter().flat_map(Run::entries) {
                    let frame = entry.frame();
                    let recorded = Recorded {
                        symbol: leader.market().symbol(entry.symbol),
                        prev_close: leader.new_close(seq),
                        json: frame.map(Frame::json),
                    };
                    follower.follow(Followed {
                        recorded,
                        frame: frame.filter(|_| rng.bool()),
                        source: entry.source,
                        now: at,
                    });
                }
                assert_eq!(follower.cursor(), leader.cursor());
            }
        }
        for follower in [&shared, &read] {
            for id in leader.market().ids_from(0) {
                let (own, theirs) = (leader.quote(id), follower.quote(id));
                let seen = |quote: Option<&crate::Quote>| {
                    quote.map(|quote| {
                        (
                            quote.price,
                            quote.n,
                            quote.time,
                            quote.source,
                            quote.reference,
                        )
                    })
                };
                assert_eq!(seen(own), seen(theirs));
                let frame = |sequencer: &Sequencer| {
                    sequencer
                        .market()
                        .newest(id)
                        .map(|frame| frame.json().to_vec())
                };
                assert_eq!(frame(&leader), frame(follower));
            }
        }
    }
}
