use proptest::prelude::*;

use super::*;

const FOR_EVER: (i64, i64) = (0, 253_402_300_799_999);

fn time(ms: i64) -> Time {
    Time::from_millis(ms).unwrap()
}

fn all(candles: &Candles, interval: Interval) -> Vec<Candle> {
    candles.within(interval, (time(FOR_EVER.0), time(FOR_EVER.1)), usize::MAX)
}

/// The same from all ticks at once.
fn by_hand(ticks: &[(i64, i64)], interval: Interval) -> Vec<Candle> {
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
        let mut kept = 0;
        for (i, (ms, units)) in ticks.iter().enumerate() {
            kept += candles.add(time(*ms), Price::from_units(*units, 2).unwrap(), false);
            if i == cut {
                let mut restored = Candles::new();
                candles.bars().for_each(|(level, open, candle)| restored.restore(level, open, &candle));
                candles = restored;
            }
        }
        prop_assert_eq!(kept, candles.len());
        for interval in Interval::ALL {
            prop_assert_eq!(all(&candles, interval), by_hand(&ticks, interval), "{:?}", interval);
        }
    }
}

#[test]
fn a_late_tick_widens_what_there_is() {
    let mut candles = Candles::new();
    let price = |units| Price::from_units(units, 0).unwrap();
    for (ms, units) in [(1_000, 5), (1_500, 7), (61_000, 6), (1_200, 9), (500, 1)] {
        candles.add(time(ms), price(units), false);
    }
    let seconds = all(&candles, Interval::Second);
    assert_eq!(
        (seconds.len(), seconds[0].high, seconds[0].close, seconds[0].count),
        (2, price(9), price(7), 3)
    );
    let minutes = all(&candles, Interval::Minute);
    assert_eq!((minutes[0].low, minutes[0].high, minutes[0].count), (price(1), price(9), 4));
    let day = &all(&candles, Interval::Day)[0];
    assert_eq!((day.open, day.close, day.low, day.count), (price(5), price(6), price(1), 5));
}

#[test]
fn a_full_house_keeps_the_newest() {
    let mut candles = Candles::new();
    for second in 0..500 {
        let grown = candles.add(time(second * 1000), Price::from_units(second, 0).unwrap(), second > 100);
        assert!(second < 102 || grown <= 1, "the first of an interval at most");
    }
    let seconds = all(&candles, Interval::Second);
    assert_eq!(seconds.last().unwrap().time, time(499_000));
    assert!(seconds.len() <= 102);
}

#[test]
fn a_range_and_a_limit() {
    let mut candles = Candles::new();
    for second in 0..100 {
        candles.add(time(second * 1000), Price::from_units(1, 0).unwrap(), false);
    }
    let some = candles.within(Interval::Second, (time(10_000), time(20_000)), 3);
    assert_eq!(
        some.iter().map(|candle| candle.time.as_millis()).collect::<Vec<_>>(),
        [18_000, 19_000, 20_000]
    );
    assert_eq!("2m".parse::<Interval>(), Err(IntervalError));
    assert_eq!("5m".parse(), Ok(Interval::FiveMinutes));
}
