//! The sequence number of each symbol. The tracker drops duplicates and older prices, and detects
//! gaps.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tickcast::tick::Extras;
use tickcast::{Price, PublishedTick, Symbol, Time};

use crate::{EventTime, FeedPrice, Kind, Sequence};

/// After this many out-of-order messages in a row, with a timestamp this much newer, the messages
/// are no stragglers. The exchange is assumed to have restarted its sequence.
const RESTART_AFTER_STRAGGLERS: u32 = 64;
const RESTART_TIME_GAP: Duration = Duration::from_secs(10);

/// Maximum time ahead of the local clock. A later timestamp is not used for ordering.
const MAX_TIME_AHEAD: Duration = Duration::from_secs(5);

/// Maximum plausible gap since an earlier run. If the gap is larger, the exchange uses different
/// numbers.
const MAX_GAP_AFTER_RESTART: u64 = 1_000_000;

/// The position of each symbol, over all connections.
#[derive(Debug, Default)]
pub(crate) struct SequenceTracker {
    marks: HashMap<(Symbol, Kind), Mark>,
    /// The time of each symbol's last tick, of any kind, and the time when that tick arrived.
    times: HashMap<Symbol, (Time, Time)>,
}

#[derive(Debug)]
struct Mark {
    place: u64,
    price: Price,
    extras: Extras,
    behind: u32,
    /// Whether the position comes from an earlier run, perhaps of another exchange with the same
    /// source name.
    inherited: bool,
}

/// The known fields of a published trade.
#[derive(Deserialize)]
struct Published {
    trade_id: Option<u64>,
}

/// The relation of a price to the earlier prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// A new price, possibly after a gap.
    New {
        /// The number of ticks in the gap.
        missing: u64,
    },
    /// A price older than an accepted price.
    Straggler,
    /// A duplicate.
    Duplicate,
}

impl SequenceTracker {
    /// Continues after an earlier run, from each symbol's newest tick.
    pub(crate) fn after(newest: impl IntoIterator<Item = PublishedTick>) -> Self {
        let mut marks = Self::default();
        for update in newest {
            marks
                .times
                .insert(update.symbol, (update.time, update.time));
            let trade_id = serde_json::from_slice(&update.json)
                .ok()
                .and_then(|read: Published| read.trade_id);
            if let Some(place) = trade_id {
                let (price, extras) = (update.price, Extras::new());
                let mark = Mark {
                    place,
                    price,
                    extras,
                    behind: RESTART_AFTER_STRAGGLERS,
                    inherited: true,
                };
                marks.marks.insert((update.symbol, Kind::Trade), mark);
            }
        }
        marks
    }

    /// Checks a price and, if the price is new, sets the time of the tick.
    ///
    /// The time of the tick is the event time `time`, but never before the time of the previous
    /// tick. If the event time is not readable, the tracker estimates the time: the previous tick's
    /// time plus the time between the two arrivals. Without a previous tick, or if the exchange
    /// sends no times, the time is `now`.
    pub(crate) fn check(
        &mut self,
        print: &mut FeedPrice,
        time: Option<Time>,
        now: Time,
    ) -> Freshness {
        let verdict = self.place(print, time, now);
        if matches!(verdict, Freshness::New { .. }) {
            let symbol = print.tick.symbol;
            let before = self.times.get(&symbol).copied();
            let about = before.map_or(now, |(time, came)| time.saturating_add(now.since(came)));
            // If the exchange sends no times, the event time is the arrival time.
            let time = match print.when {
                EventTime::Missing => now,
                EventTime::At(_) | EventTime::Unreadable => time.unwrap_or(about),
            };
            let time = before.map_or(time, |(before, _)| time.max(before));
            self.times.insert(symbol, (time, now));
            print.tick.time = Some(time);
        }
        verdict
    }

    fn place(&mut self, print: &FeedPrice, time: Option<Time>, now: Time) -> Freshness {
        let readable = time.is_some_and(|time| time <= now.saturating_add(MAX_TIME_AHEAD));
        let timeless = matches!(print.place, Sequence::Time(_)) && !readable;
        let (Sequence::Each(place) | Sequence::Rising(place) | Sequence::Time(place)) = print.place;
        let tick = &print.tick;
        let last_time = self
            .times
            .get(&tick.symbol)
            .map(|(time, _)| *time)
            .unwrap_or_default();
        let Some(mark) = self.marks.get_mut(&(tick.symbol, print.kind)) else {
            let (price, extras) = (tick.price, tick.extras.clone());
            let place = if timeless { 0 } else { place };
            let mark = Mark {
                place,
                price,
                extras,
                behind: 0,
                inherited: false,
            };
            self.marks.insert((tick.symbol, print.kind), mark);
            return Freshness::New { missing: 0 };
        };
        let same = mark.price.is_written_like(tick.price) && mark.extras == tick.extras;
        if !timeless && place <= mark.place {
            let again = match print.place {
                Sequence::Each(_) | Sequence::Rising(_) => place == mark.place,
                // Several events can have the same time.
                Sequence::Time(_) => place == mark.place && same,
            };
            if again {
                return Freshness::Duplicate;
            }
            let tied = matches!(print.place, Sequence::Time(_)) && place == mark.place;
            mark.behind = mark.behind.saturating_add(u32::from(!tied));
            let anew = mark.behind >= RESTART_AFTER_STRAGGLERS
                && time.unwrap_or(now) >= last_time.saturating_add(RESTART_TIME_GAP);
            if !tied && !anew {
                return Freshness::Straggler;
            }
        }
        if print.snapshot && same {
            return Freshness::Duplicate;
        }
        let missing = match print.place {
            Sequence::Each(_) => place.saturating_sub(mark.place.saturating_add(1)),
            Sequence::Rising(_) | Sequence::Time(_) => 0,
        };
        let missing = if mark.inherited && missing > MAX_GAP_AFTER_RESTART {
            0
        } else {
            missing
        };
        let place = if timeless { mark.place } else { place };
        *mark = Mark {
            place,
            price: tick.price,
            extras: tick.extras.clone(),
            behind: 0,
            inherited: false,
        };
        Freshness::New { missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickcast::Tick;

    const NOW: i64 = 1_782_907_200_000;

    fn ms(ms: i64) -> Time {
        Time::from_millis(ms).unwrap()
    }

    fn print(place: Sequence, price: &str) -> FeedPrice {
        let tick = Tick::new(Symbol::new("A").unwrap(), price.parse().unwrap());
        FeedPrice {
            tick,
            when: EventTime::Unreadable,
            kind: Kind::Trade,
            place,
            snapshot: false,
        }
    }

    fn check(marks: &mut SequenceTracker, place: Sequence, price: &str) -> Freshness {
        marks.check(&mut print(place, price), Some(ms(NOW)), ms(NOW))
    }

    #[test]
    fn gaps_are_counted_and_duplicates_are_dropped() {
        let mut marks = SequenceTracker::default();
        let verdicts = [5, 5, 6, 9, 7, 10].map(|id| check(&mut marks, Sequence::Each(id), "1"));
        let new = |missing| Freshness::New { missing };
        assert_eq!(
            verdicts,
            [
                new(0),
                Freshness::Duplicate,
                new(0),
                new(2),
                Freshness::Straggler,
                new(0)
            ]
        );
        let verdicts = [5, 9, 9, 7]
            .map(|id| check(&mut SequenceTracker::default(), Sequence::Rising(id), "1"));
        assert_eq!(verdicts, [new(0); 4], "each is the first of its own");
    }

    #[test]
    fn several_prices_can_have_the_same_time() {
        let mut marks = SequenceTracker::default();
        let mut at = |time, price| check(&mut marks, Sequence::Time(time), price);
        let new = Freshness::New { missing: 0 };
        assert_eq!(
            [at(1, "1"), at(1, "2"), at(1, "2"), at(0, "3"), at(2, "2")],
            [new, new, Freshness::Duplicate, Freshness::Straggler, new]
        );
    }

    #[test]
    fn a_restarted_sequence_is_accepted_after_some_messages() {
        let mut marks = SequenceTracker::default();
        check(&mut marks, Sequence::Each(1_000_000), "1");
        let mut at = |id: u64, time| {
            marks.check(&mut print(Sequence::Each(id), "1"), Some(ms(time)), ms(NOW))
        };
        assert!(
            (1..200).all(|id| at(id, NOW) == Freshness::Straggler),
            "they happened no later"
        );
        assert_ne!(at(200, NOW + 10_000), Freshness::Straggler);
    }

    #[test]
    fn a_missing_or_earlier_time_is_corrected_from_the_previous_tick() {
        let mut marks = SequenceTracker::default();
        let mut time = |place, came: i64, time: Option<i64>| {
            let mut print = print(Sequence::Each(place), "1");
            marks.check(&mut print, time.map(|time| ms(NOW + time)), ms(NOW + came));
            print.tick.time.unwrap().as_millis() - NOW
        };
        assert_eq!(
            [
                time(1, 0, Some(-50)),
                time(2, 0, None),
                time(3, 0, Some(-60)),
                time(4, 0, Some(-40))
            ],
            [-50, -50, -50, -40]
        );
        assert_eq!(
            [time(5, 1000, None), time(6, 3000, None)],
            [960, 2960],
            "it does not stand still"
        );
    }

    #[test]
    fn a_time_ahead_does_not_block_later_prices() {
        let mut marks = SequenceTracker::default();
        let mut at = |time: i64| {
            let place = Sequence::Time((NOW + time) as u64);
            marks.check(&mut print(place, "1"), Some(ms(NOW + time)), ms(NOW))
        };
        let new = Freshness::New { missing: 0 };
        assert_eq!(
            [at(0), at(30_000), at(1), at(0)],
            [new, new, new, Freshness::Straggler]
        );
    }

    fn newest(trade_id: u64) -> PublishedTick {
        let hub = tickcast::Hub::builder().lanes(1).build();
        let feed = hub.source("feed", tickcast::SourceOptions::default());
        let json = format!(r#"{{"symbol":"A","price":1,"time":{NOW},"trade_id":{trade_id}}}"#);
        feed.try_publish(&Tick::from_json(json.as_bytes()).unwrap())
            .unwrap();
        feed.newest(&Symbol::new("A").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_sequence_continues_after_an_earlier_run() {
        let new = |missing| Freshness::New { missing };
        let mut marks = SequenceTracker::after([newest(7)]);
        let verdicts = [7, 6, 10].map(|id| check(&mut marks, Sequence::Each(id), "1"));
        assert_eq!(
            verdicts,
            [Freshness::Duplicate, Freshness::Straggler, new(2)]
        );
        let far = check(
            &mut SequenceTracker::after([newest(7)]),
            Sequence::Each(9_000_000),
            "1",
        );
        assert_eq!(far, new(0), "they are other numbers");
        let mut marks = SequenceTracker::after([newest(7000)]);
        let mut at =
            |id, time| marks.check(&mut print(Sequence::Each(id), "1"), Some(ms(time)), ms(NOW));
        assert_eq!(
            [at(5, NOW), at(5, NOW + 10_000), at(6, NOW + 10_000)],
            [Freshness::Straggler, new(0), new(0)]
        );
    }
}
