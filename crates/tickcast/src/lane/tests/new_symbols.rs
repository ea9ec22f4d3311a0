//! Tests many new symbols at once together with many patterns.

use super::*;

/// Returns a lane with this maximum number of comparisons in one call, and readers of `filters`.
fn readers(comparisons: usize, filters: &[String]) -> (Stage, Vec<(Key, Reader)>) {
    let mut stage = Stage::new(Limits::default());
    stage.lane.groups = Groups::comparing(comparisons, 1 << 20);
    let readers = filters.iter().map(|filter| stage.open(to(filter))).collect();
    (stage, readers)
}

#[test]
fn groups_with_few_patterns_do_not_wait_for_groups_with_many_patterns() {
    let patterns = |n: usize| (0..20).map(|i| format!("*{n}*{i}")).collect::<Vec<_>>().join(",");
    let mut filters: Vec<_> = (0..5).map(patterns).collect();
    filters.extend(["*".to_owned(), "S7".to_owned(), "S1*".to_owned()]);
    // This is a tenth of the necessary comparisons.
    let (mut stage, readers) = readers(5 * 20 * 200 / 10, &filters);
    let symbols: Vec<_> = (0..200).map(|i| format!("S{i}")).collect();
    symbols.iter().for_each(|symbol| stage.tick(symbol, 1));
    stage.flush();
    let wanted = |filter: &str| {
        let filter = Filter::parse(filter.split(',')).unwrap();
        let names = symbols.iter().filter(|name| filter.matches(&Symbol::new(name).unwrap()));
        names.map(|name| format!("{name} 1=1")).collect::<Vec<_>>()
    };
    let mut received: Vec<_> = readers.iter().map(|(_, reader)| reader.take()).collect();
    let complete = |received: &[Vec<String>]| {
        let all = received.iter().zip(&filters).map(|(got, filter)| *got == wanted(filter));
        all.collect::<Vec<_>>()
    };
    let at_once = complete(&received);
    assert_eq!(at_once[5..], [true; 3], "all, a name, and one pattern do not wait");
    assert!(at_once[..5].iter().filter(|whole| **whole).count() < 2, "{at_once:?}");
    let mut rounds = 0;
    while let Some(at) = stage.lane.next_timer().filter(|at| *at < Duration::from_secs(1)) {
        stage.now = stage.now.max(at);
        stage.pass(0);
        rounds += 1;
    }
    assert!((5..50).contains(&rounds), "{rounds}");
    for (received, (_, reader)) in received.iter_mut().zip(&readers) {
        received.extend(reader.take());
    }
    assert_eq!(complete(&received), [true; 8], "{received:?}");
    stage.tick("S1", 2);
    stage.flush();
    assert!(readers.iter().zip(&filters).all(|((_, reader), filter)| {
        reader.take().len() == wanted(filter).iter().filter(|line| line.starts_with("S1 ")).count()
    }));
}

/// An idle check of a stream with a rate happens while its group is not yet compared with all new symbols. It
/// is then unknown whether there is nothing to send.
#[test]
fn a_stream_whose_group_is_behind_does_not_count_as_idle() {
    let (mut stage, _) = readers(1, &[]);
    let (_, reader) = stage.open(to("S*,T*").max_rate(Rate::per_second(10.0).unwrap()));
    stage.now = MANNERS.keep_alive - Duration::from_millis(1);
    (0..20).for_each(|i| stage.tick(&format!("S{i}"), 1));
    stage.flush();
    let mut received = Vec::new();
    for _ in 0..100 {
        stage.pass(10);
        received.extend(reader.take().into_iter().filter(|line| line.starts_with('S')));
    }
    assert_eq!(received.len(), 20, "{received:?}");
}
