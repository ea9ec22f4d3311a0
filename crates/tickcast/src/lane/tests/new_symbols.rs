//! Tests many new symbols at once together with many patterns.

use super::*;

/// Returns a lane with this maximum number of comparisons in one call, and readers of `filters`.
fn readers(comparisons: usize, filters: &[String]) -> (Harness, Vec<(Key, Reader)>) {
    let mut harness = Harness::new(Limits::default());
    harness.lane.groups = Groups::comparing(comparisons, 1 << 20);
    let readers = filters
        .iter()
        .map(|filter| harness.open(subscribe(filter)))
        .collect();
    (harness, readers)
}

#[test]
fn groups_with_few_patterns_do_not_wait_for_groups_with_many_patterns() {
    let patterns = |n: usize| {
        (0..20)
            .map(|i| format!("*{n}*{i}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut filters: Vec<_> = (0..5).map(patterns).collect();
    filters.extend(["*".to_owned(), "S7".to_owned(), "S1*".to_owned()]);
    // This is a tenth of the necessary comparisons.
    let (mut harness, readers) = readers(5 * 20 * 200 / 10, &filters);
    let symbols: Vec<_> = (0..200).map(|i| format!("S{i}")).collect();
    symbols.iter().for_each(|symbol| harness.tick(symbol, 1));
    harness.flush();
    let expected = |filter: &str| {
        let filter = Filter::parse(filter.split(',')).unwrap();
        let names = symbols
            .iter()
            .filter(|name| filter.matches(&Symbol::new(name).unwrap()));
        names.map(|name| format!("{name} 1=1")).collect::<Vec<_>>()
    };
    let mut received: Vec<_> = readers.iter().map(|(_, reader)| reader.take()).collect();
    let complete = |received: &[Vec<String>]| {
        let all = received
            .iter()
            .zip(&filters)
            .map(|(got, filter)| *got == expected(filter));
        all.collect::<Vec<_>>()
    };
    let immediate = complete(&received);
    assert_eq!(
        immediate[5..],
        [true; 3],
        "all, a name, and one pattern do not wait"
    );
    assert!(
        immediate[..5].iter().filter(|whole| **whole).count() < 2,
        "{immediate:?}"
    );
    let mut rounds = 0;
    while let Some(at) = harness
        .lane
        .next_timer()
        .filter(|at| *at < Duration::from_secs(1))
    {
        harness.now = harness.now.max(at);
        harness.advance_time(0);
        rounds += 1;
    }
    assert!((5..50).contains(&rounds), "{rounds}");
    for (received, (_, reader)) in received.iter_mut().zip(&readers) {
        received.extend(reader.take());
    }
    assert_eq!(complete(&received), [true; 8], "{received:?}");
    harness.tick("S1", 2);
    harness.flush();
    assert!(readers.iter().zip(&filters).all(|((_, reader), filter)| {
        reader.take().len()
            == expected(filter)
                .iter()
                .filter(|line| line.starts_with("S1 "))
                .count()
    }));
}

/// An idle check of a stream with a rate happens while its group is not yet compared with all new
/// symbols. It is then unknown whether there is nothing to send.
#[test]
fn a_stream_whose_group_is_behind_does_not_count_as_idle() {
    let (mut harness, _) = readers(1, &[]);
    let (_, reader) = harness.open(subscribe("S*,T*").max_rate(Rate::per_second(10.0).unwrap()));
    harness.now = STREAM_LIMITS.keep_alive - Duration::from_millis(1);
    (0..20).for_each(|i| harness.tick(&format!("S{i}"), 1));
    harness.flush();
    let mut received = Vec::new();
    for _ in 0..100 {
        harness.advance_time(10);
        received.extend(
            reader
                .take()
                .into_iter()
                .filter(|line| line.starts_with('S')),
        );
    }
    assert_eq!(received.len(), 20, "{received:?}");
}

/// A change of one stream compares its group with all symbols at once. The other streams of the group
/// wait for the ticks of these symbols, too.
#[test]
fn a_change_of_one_stream_sends_the_others_of_its_group_what_they_waited_for() {
    let slow = Some(Rate::per_second(1.0).unwrap());
    for (rate, is_idle) in [(None, false), (slow, false), (slow, true)] {
        let (mut harness, _) = readers(1, &[]);
        let filter = Filter::parse(["A*", "B*", "C*"]).unwrap();
        let subscription = |id| {
            let session = session_options(id, Mode::Latest, Duration::from_secs(10));
            Subscription::to(filter.clone()).resumable(session, (Epoch::new(1), Seq::ZERO))
        };
        let (_, first) = harness.open(subscription(1));
        let second = subscription(2);
        let second = match rate {
            Some(rate) => second.max_rate(rate),
            None => second,
        };
        let (_, second) = harness.open(second);
        for number in 0..20 {
            harness.tick(&format!("A{number}"), 1);
        }
        harness.flush();
        assert!(harness.lane.groups.are_behind());
        let edit = Edit {
            rate: Some(Some(Rate::per_second(2.0).unwrap())),
            ..Edit::default()
        };
        change(&mut harness.lane, StreamId::of(1), edit, harness.now)
            .unwrap()
            .unwrap();
        assert!(!harness.lane.groups.are_behind());
        if is_idle {
            // The lane looks whether streams are idle before it visits them.
            harness.advance_time(20_000);
        }
        harness.flush();
        harness.advance_time(1_000);
        for (name, reader) in [("first", first), ("second", second)] {
            let received = reader.0.borrow().received.matches("event: tick").count();
            assert_eq!(received, 20, "{name} {rate:?} {is_idle}");
        }
    }
}
