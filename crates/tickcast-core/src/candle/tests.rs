use proptest::prelude::*;

use super::*;

const ALL_TIMES: (i64, i64) = (0, 253_402_300_799_999);

fn time(ms: i64) -> Time {
    Time::from_millis(ms).unwrap()
}

fn add(candles: &mut Candles, ms: i64, price: Price) -> isize {
    candles.add(time(ms), price, Time::MAX, usize::MAX)
}

fn all(candles: &Candles, interval: Interval) -> Vec<Candle> {
    candles.within(interval, (time(ALL_TIMES.0), time(ALL_TIMES.1)), usize::MAX)
}

/// Returns the candles as they are after a restart.
fn restarted(candles: &Candles) -> Candles {
    let mut restored = Candles::new();
    candles
        .bars()
        .for_each(|(level, open, candle)| restored.restore(level, open, &candle));
    restored
}

/// Computes the expected candles from all ticks at once. The ticks must be in order of time.
fn expected_candles(ticks: &[(i64, i64)], interval: Interval) -> Vec<Candle> {
    let mut candles: Vec<Candle> = Vec::new();
    for (ms, units) in ticks {
        let price = Price::from_units(*units, 2).unwrap();
        let begin = time(ms - ms % interval.millis());
        match candles.last_mut() {
            Some(last) if last.time == begin => {
                last.high = last.high.max(price);
                last.low = last.low.min(price);
                last.close = price;
                last.count += 1;
            }
            _ => candles.push(Candle {
                time: begin,
                open: price,
                high: price,
                low: price,
                close: price,
                count: 1,
            }),
        }
    }
    candles
}

proptest! {
    #[test]
    fn every_interval_agrees_with_the_ticks(
        steps in prop::collection::vec((prop_oneof![0i64..900, 0i64..90_000, 0i64..90_000_000], -5000i64..5000), 1..300),
        cut in 0usize..300,
    ) {
        let mut now = 1_782_907_200_000;
        let ticks: Vec<_> = steps.iter().map(|(step, units)| { now += step; (now, *units) }).collect();
        let mut candles = Candles::new();
        let mut count = 0;
        for (i, (ms, units)) in ticks.iter().enumerate() {
            count += add(&mut candles, *ms, Price::from_units(*units, 2).unwrap());
            if i == cut {
                candles = restarted(&candles);
            }
        }
        prop_assert_eq!(count, candles.len() as isize);
        for interval in Interval::ALL {
            prop_assert_eq!(all(&candles, interval), expected_candles(&ticks, interval), "{:?}", interval);
        }
    }
}

/// Computes the expected candles of ticks in any order. Each tick counts in the interval that
/// contains its time, in the order in which ticks were accepted.
fn expected_candles_in_any_order(ticks: &[(i64, i64)], interval: Interval) -> Vec<Candle> {
    let mut sorted = ticks.to_vec();
    sorted.sort_by_key(|(ms, _)| ms - ms.rem_euclid(interval.millis()));
    expected_candles(&sorted, interval)
}

#[test]
fn a_late_tick_counts_once_in_each_interval_and_is_the_close_of_its_own() {
    let mut candles = Candles::new();
    let price = |units| Price::from_units(units, 0).unwrap();
    for (ms, units) in [(1_000, 5), (1_500, 7), (61_000, 6), (1_200, 9), (500, 1)] {
        add(&mut candles, ms, price(units));
    }
    let seconds = all(&candles, Interval::Second);
    let fields = |candle: &Candle| (candle.time.as_millis(), candle.close, candle.count);
    assert_eq!(
        seconds.iter().map(fields).collect::<Vec<_>>(),
        [
            (0, price(1), 1),
            (1_000, price(9), 3),
            (61_000, price(6), 1)
        ]
    );
    let minutes = all(&candles, Interval::Minute);
    assert_eq!(
        (minutes[0].low, minutes[0].high, minutes[0].count),
        (price(1), price(9), 4)
    );
    let day = &all(&candles, Interval::Day)[0];
    assert_eq!(
        (day.open, day.close, day.low, day.count),
        (price(5), price(1), price(1), 5)
    );
}

proptest! {
    /// In any order of ticks, every interval counts every tick once, and the last accepted tick is
    /// the close of its candle.
    #[test]
    fn ticks_in_any_order_count_once(
        ticks in prop::collection::vec((0i64..400_000, -5000i64..5000), 1..80),
        cut in 0usize..80,
    ) {
        let ticks: Vec<_> = ticks.iter().map(|(ms, units)| (1_782_907_200_000 + ms, *units)).collect();
        let mut candles = Candles::new();
        for (i, (ms, units)) in ticks.iter().enumerate() {
            let price = Price::from_units(*units, 2).unwrap();
            add(&mut candles, *ms, price);
            if i == cut {
                candles = restarted(&candles);
                candles.restore_newest(time(*ms), price);
            }
            for interval in Interval::ALL {
                let newest = all(&candles, interval).into_iter().rfind(|candle| candle.time <= time(*ms)).unwrap();
                prop_assert_eq!(newest.close, price, "{:?} after {} at {}", interval, i, ms);
            }
        }
        for interval in Interval::ALL {
            let (found, expected) = (all(&candles, interval), expected_candles_in_any_order(&ticks, interval));
            let fields = |candles: &[Candle]| {
                candles.iter().map(|c| (c.time, c.high, c.low, c.count)).collect::<Vec<_>>()
            };
            prop_assert_eq!(fields(&found), fields(&expected), "{:?}", interval);
        }
    }
}

#[test]
fn candles_from_a_clock_that_was_ahead_are_dropped() {
    let (day, start) = (86_400_000, 1_782_907_200_000);
    let mut candles = Candles::new();
    let price = |units| Price::from_units(units, 0).unwrap();
    let ticks = [
        (0, 1),
        (1_000, 2),
        (2 * day, 9),
        (2 * day + 61_000, 9),
        (2_000, 3),
        (63_000, 4),
    ];
    for (ms, units) in ticks {
        let now = start + ms;
        candles.add(time(now), price(units), time(now + 5_000), usize::MAX);
    }
    for interval in Interval::ALL {
        let candles = all(&candles, interval);
        assert_eq!(candles.last().unwrap().close, price(4), "{interval:?}");
        assert!(
            candles.iter().all(|candle| candle.high < price(9)),
            "{interval:?}: {candles:?}"
        );
        let times: Vec<_> = candles.iter().map(|candle| candle.time).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{interval:?}: {times:?}");
        assert_eq!(
            candles.iter().map(|candle| candle.count).sum::<u64>(),
            4,
            "{interval:?}"
        );
    }
}

#[test]
fn a_candle_whose_seconds_are_gone_is_dropped_when_the_clock_goes_back_again() {
    let (day, start) = (86_400_000, 20_000 * 86_400_000);
    let price = |units| Price::from_units(units, 0).unwrap();
    for interval in Interval::ALL {
        // After five days, the candle of the first day is open. After six days, it is closed.
        for days in 1..=6 {
            let mut candles = Candles::new();
            for n in 0..days {
                let last = start + n * day + interval.millis() - 1;
                add(&mut candles, last, price(9));
            }
            // The horizon is first at the start of the candle, then before the candle.
            candles.add(time(start - 2), price(1), time(start), usize::MAX);
            for mut candles in [restarted(&candles), candles] {
                candles.add(time(start - 1), price(2), time(start - 1), usize::MAX);
                for level in Interval::ALL {
                    let found = all(&candles, level);
                    let fields = found.iter().map(|c| (c.high, c.close, c.count));
                    assert!(
                        fields.eq([(price(2), price(2), 2)]),
                        "{interval:?}, {days} days: {level:?}: {found:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_shortest_interval_loses_candles_first() {
    let mut candles = Candles::new();
    for second in 0..200_000 {
        candles.add(
            time(second * 1000),
            Price::from_units(second, 0).unwrap(),
            Time::MAX,
            100,
        );
        assert!(candles.len() <= 100);
    }
    let counts = Interval::ALL.map(|interval| all(&candles, interval).len() - 1);
    // 55 hours and two days use less than their share. The longest interval that needs room gets
    // the rest.
    assert_eq!(counts.iter().sum::<usize>(), 100);
    assert_eq!((counts[0], counts[4]), (30, 2), "{counts:?}");
    assert!(
        counts[1] >= 25 && counts[2] >= 20 && counts[3] >= 15,
        "{counts:?}"
    );
}

#[test]
fn candles_are_selected_by_range_and_limit() {
    let mut candles = Candles::new();
    for second in 0..100 {
        add(
            &mut candles,
            second * 1000,
            Price::from_units(1, 0).unwrap(),
        );
    }
    let selected = candles.within(Interval::Second, (time(10_000), time(20_000)), 3);
    assert_eq!(
        selected
            .iter()
            .map(|candle| candle.time.as_millis())
            .collect::<Vec<_>>(),
        [18_000, 19_000, 20_000]
    );
    assert_eq!("2m".parse::<Interval>(), Err(IntervalError));
    assert_eq!("5m".parse(), Ok(Interval::FiveMinutes));
}
