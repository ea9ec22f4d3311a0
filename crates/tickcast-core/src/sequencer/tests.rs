//! What becomes of ticks.

use super::*;
use crate::Time;

const DAY: i64 = 86_400_000;
const NOON: i64 = 20_000 * DAY + DAY / 2;

fn now() -> Instant {
    Instant { wall: Time::from_millis(NOON).unwrap(), uptime: Duration::from_secs(1) }
}

fn log() -> Sequencer {
    Sequencer::new(Epoch::new(1), Limits::default())
}

fn give(log: &mut Sequencer, json: &str, rules: Rules) -> Result<Outcome, TickError> {
    log.accept(&Tick::from_json(json.as_bytes()).unwrap(), Origin::default(), rules, now())
}

/// The newest tick of `A`, as readers are sent it.
fn newest(log: &Sequencer) -> String {
    let id = log.market().id(&Symbol::new("A").unwrap()).unwrap();
    String::from_utf8(log.market().newest(id).unwrap().json().to_vec()).unwrap()
}

#[test]
fn late_ticks_are_dropped_unless_allowed() {
    let (mut log, keep) = (log(), Rules { allow_late: true, ..Rules::default() });
    give(&mut log, r#"{"symbol":"A","price":1,"time":2000}"#, Rules::default()).unwrap();
    let late = r#"{"symbol":"A","price":2,"time":1999}"#;
    assert_eq!(give(&mut log, late, Rules::default()), Ok(Outcome::Late));
    assert!(newest(&log).contains("\"price\":1,"));
    assert_eq!(give(&mut log, late, keep), Ok(Outcome::Taken(Seq::new(2))));
    assert!(newest(&log).contains("\"price\":2,") && newest(&log).contains("\"time\":1999,\"n\":2"));
}

#[test]
fn a_tick_without_a_time_is_never_late() {
    let mut log = log();
    let ahead = NOON + 3_600_000;
    give(&mut log, &format!(r#"{{"symbol":"A","price":1,"time":{ahead}}}"#), Rules::default()).unwrap();
    assert_eq!(
        give(&mut log, r#"{"symbol":"A","price":2}"#, Rules::default()),
        Ok(Outcome::Taken(Seq::new(2)))
    );
}

#[test]
fn repeats_are_dropped_where_asked_and_their_time_is_kept() {
    let (mut log, drop) = (log(), Rules { drop_repeats: true, ..Rules::default() });
    give(&mut log, r#"{"symbol":"A","price":1.0,"bid":1,"time":1000}"#, drop).unwrap();
    for (json, outcome) in [
        (r#"{"symbol":"A","price":1.0,"bid":1,"time":2000}"#, Outcome::Repeat),
        (r#"{"symbol":"A","price":2.0,"bid":1,"time":1500}"#, Outcome::Late),
        (r#"{"symbol":"A","price":1.0,"bid":2,"time":2000}"#, Outcome::Taken(Seq::new(2))),
        (r#"{"symbol":"A","price":1.00,"bid":2,"time":2000}"#, Outcome::Taken(Seq::new(3))),
        (r#"{"symbol":"A","price":1.00,"bid":2,"prev_close":7,"time":2000}"#, Outcome::Taken(Seq::new(4))),
        (r#"{"symbol":"A","price":1.00,"bid":2,"prev_close":7,"time":2000}"#, Outcome::Repeat),
    ] {
        assert_eq!(give(&mut log, json, drop), Ok(outcome), "{json}");
    }
    assert!(matches!(
        give(&mut log, r#"{"symbol":"A","price":1.00,"bid":2}"#, Rules::default()),
        Ok(Outcome::Taken(_))
    ));
}

#[test]
fn the_reference_is_the_close_else_the_first_price_of_the_day() {
    let mut log = log();
    let mut change = |json: String| {
        give(&mut log, &json, Rules::default()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&newest(&log)).unwrap();
        json["change"].as_f64().unwrap()
    };
    let (day, next) = (NOON - 5 * DAY, NOON - 4 * DAY);
    assert_eq!(change(format!(r#"{{"symbol":"A","price":10,"time":{day}}}"#)), 0.0);
    assert_eq!(change(format!(r#"{{"symbol":"A","price":12,"time":{day}}}"#)), 2.0);
    assert_eq!(change(format!(r#"{{"symbol":"A","price":15,"time":{next}}}"#)), 0.0, "a new day");
    assert_eq!(change(format!(r#"{{"symbol":"A","price":16,"time":{next}}}"#)), 1.0);
    assert_eq!(change(format!(r#"{{"symbol":"A","price":16,"prev_close":9,"time":{next}}}"#)), 7.0);
    assert_eq!(change(format!(r#"{{"symbol":"A","price":17,"time":{NOON}}}"#)), 8.0, "from now on");
    assert_eq!(change(format!(r#"{{"symbol":"A","price":17,"change":-1,"time":{NOON}}}"#)), -1.0, "said so");
    assert_eq!(change(format!(r#"{{"symbol":"A","price":18,"time":{NOON}}}"#)), 9.0);
}

#[test]
fn a_time_far_ahead_and_a_symbol_too_many_are_refused() {
    let mut log = Sequencer::new(Epoch::new(1), Limits { symbols: 1, ..Limits::default() });
    let ahead = NOON + DAY + 1;
    let json = format!(r#"{{"symbol":"A","price":1,"time":{ahead}}}"#);
    assert_eq!(give(&mut log, &json, Rules::default()), Err(TickError::Ahead(ahead)));
    give(&mut log, r#"{"symbol":"A","price":1}"#, Rules::default()).unwrap();
    assert_eq!(
        give(&mut log, r#"{"symbol":"B","price":1}"#, Rules::default()),
        Err(TickError::TooManySymbols(1))
    );
    assert_eq!(log.cursor().seq, Seq::new(1), "what is refused leaves no trace");
}

#[test]
fn a_symbol_taken_off_comes_back_counting_on() {
    let mut log = log();
    let symbol = Symbol::new("A").unwrap();
    assert_eq!(log.remove(&symbol, now()), None);
    give(&mut log, r#"{"symbol":"A","price":1}"#, Rules::default()).unwrap();
    assert_eq!(log.remove(&symbol, now()), Some(Seq::new(2)));
    assert_eq!(log.remove(&symbol, now()), None);
    give(&mut log, r#"{"symbol":"A","price":1}"#, Rules { drop_repeats: true, ..Rules::default() }).unwrap();
    assert!(newest(&log).contains("\"n\":2"), "and its first tick then is no repeat");
    log.remove(&symbol, now());
    let early = give(&mut log, r#"{"symbol":"A","price":1,"time":5}"#, Rules::default());
    assert!(
        matches!(early, Ok(Outcome::Taken(_))),
        "nor is it late: a time that was wrong is forgotten with it"
    );
}

#[test]
fn the_first_tick_of_a_day_is_no_repeat() {
    let (mut log, drop) = (log(), Rules { drop_repeats: true, ..Rules::default() });
    let yesterday = NOON - DAY;
    give(&mut log, &format!(r#"{{"symbol":"A","price":10,"time":{yesterday}}}"#), drop).unwrap();
    give(&mut log, &format!(r#"{{"symbol":"A","price":10,"time":{NOON}}}"#), drop).unwrap();
    give(&mut log, &format!(r#"{{"symbol":"A","price":12,"time":{NOON}}}"#), drop).unwrap();
    assert!(newest(&log).contains("\"change\":2,"), "{}", newest(&log));
}
