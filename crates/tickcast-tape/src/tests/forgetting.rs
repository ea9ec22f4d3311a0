//! Tests of the symbols that were removed long ago.

use std::time::SystemTime;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn days_ago(days: u32) -> Time {
    Time::from(SystemTime::now()).saturating_sub(DAY * days)
}

fn names(log: &Log) -> Vec<String> {
    let symbols = log.sequencer.market().names_after(None);
    symbols.map(|(symbol, _)| symbol.to_string()).collect()
}

#[test]
fn a_symbol_that_was_removed_long_ago_leaves_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    for (symbol, units) in [
        ("OLD", 1),
        ("OLD", 2),
        ("NEW", 3),
        ("BACK", 4),
        ("STAYS", 5),
    ] {
        log.publish(symbol, units, days_ago(40).as_millis());
    }
    let before = log.sequencer.cursor().position;
    log.remove_at("OLD", days_ago(31));
    log.remove_at("NEW", days_ago(29));
    log.remove_at("BACK", days_ago(31));
    log.publish("BACK", 6, days_ago(31).as_millis());
    log.checkpoint();
    let cursor = kill(log);
    for round in 0..2 {
        let log = Log::open_with(folder.path(), 30 * DAY).unwrap();
        assert_eq!(names(&log), ["BACK", "NEW", "STAYS"]);
        assert_eq!(log.sequencer.cursor(), cursor, "cursors do not change");
        // A reader from before the removal cannot be told any more that the symbol is gone.
        assert_eq!(log.sequencer.market().forgotten(), cursor.seq());
        let removals = log.tape.read(before.seq, |_, _| ControlFlow::Continue(()));
        assert_eq!(
            removals.unwrap(),
            cursor.seq(),
            "the tape keeps its entries"
        );
        if round == 0 {
            log.checkpoint();
        }
        kill(log);
    }
    let mut log = Log::open_with(folder.path(), 30 * DAY).unwrap();
    log.publish("OLD", 9, days_ago(0).as_millis());
    log.publish("NEW", 9, days_ago(0).as_millis());
    let count = |log: &Log, symbol: &str| {
        let id = log.sequencer.market().id(&Symbol::new(symbol).unwrap());
        log.sequencer.quote(id.unwrap()).unwrap().n
    };
    assert_eq!((count(&log, "OLD"), count(&log, "NEW")), (1, 2));
    let state = log.state();
    kill(log);
    let log = Log::open_with(folder.path(), 30 * DAY).unwrap();
    assert_eq!(log.state(), state);
}

/// The tape in memory begins at the snapshot. A reader of it must learn of the removal.
#[test]
fn a_symbol_that_was_removed_after_the_snapshot_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    log.publish("OLD", 1, days_ago(40).as_millis());
    log.publish("STAYS", 1, days_ago(40).as_millis());
    let base = (log.sequencer.cursor().seq(), log.sequencer.tape().digest());
    log.remove_at("OLD", days_ago(31));
    // The snapshot was begun before the removal.
    let ids = log.sequencer.market().ids_from(0);
    let symbols = ids.filter_map(|id| log.sequencer.symbol_snapshot(id));
    write_snapshot(&log.tape, base, symbols, &[]).unwrap();
    kill(log);
    let log = Log::open_with(folder.path(), 30 * DAY).unwrap();
    assert_eq!(names(&log), ["OLD", "STAYS"]);
    assert_eq!(log.sequencer.market().forgotten(), base.0);
    log.checkpoint();
    kill(log);
    let log = Log::open_with(folder.path(), 30 * DAY).unwrap();
    assert_eq!(names(&log), ["STAYS"]);
}

#[test]
fn a_name_that_returns_after_its_snapshot_keeps_its_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path());
    log.publish("A", 1, days_ago(40).as_millis());
    log.remove_at("A", days_ago(31));
    log.checkpoint();
    log.publish("A", 2, days_ago(0).as_millis());
    let state = log.state();
    kill(log);
    let log = Log::open_with(folder.path(), 30 * DAY).unwrap();
    assert_eq!(log.state(), state);
}

/// After a restart, the same ticks are late as without it, also for a symbol that returned.
#[test]
fn a_symbol_that_returned_from_ahead_of_the_clock_is_as_late_after_a_restart() {
    let now = 1_782_907_200_000;
    let accept = |log: &mut Log, units, time, wall| {
        let symbol = Symbol::new("X").unwrap();
        let mut tick = Tick::new(symbol, Price::from_units(units, 2).unwrap());
        tick.time = Some(Time::from_millis(time).unwrap());
        let at = Now {
            wall: Time::from_millis(wall).unwrap(),
            ..Now::default()
        };
        let before = log.sequencer.newest_position();
        let options = SourceOptions::default();
        let sequenced = log.sequencer.accept(&tick, SourceId(3), options, at);
        let sequenced = sequenced.unwrap();
        let is_accepted = sequenced.seq().is_some();
        if is_accepted {
            log.record(before, sequenced, at.wall);
        }
        is_accepted
    };
    for restart in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path());
        log.publish("X", 1, now - 600_000);
        log.remove_at("X", Time::from_millis(now).unwrap());
        log.checkpoint();
        log.writer.make_room().unwrap();
        assert!(accept(&mut log, 2, now + 30_000, now + 1000));
        if restart {
            kill(log);
            log = Log::open_with(folder.path(), Duration::MAX).unwrap();
            log.writer.make_room().unwrap();
        }
        assert!(accept(&mut log, 3, now - 10, now + 1100), "{restart}");
    }
}
