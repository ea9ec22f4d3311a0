//! Ticks as JSON.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tickcast_core::{
    Epoch, Limits, Now, PublishedTick, Sequencer, SourceId, SourceOptions, Tick, TickView, Time,
};

/// The members of an object, with their texts.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The members of a tick that are not extras.
const FIELDS: [&str; 5] = ["symbol", "price", "change", "prev_close", "time"];

/// Checks ticks. An accepted tick has the members of its JSON, exactly as they were written. What
/// readers receive is one event, and reads back as the same tick.
pub fn tick(data: &[u8]) {
    let Ok(tick) = Tick::from_json(data) else {
        return;
    };
    let members: Members<'_> = serde_json::from_slice(data).expect("a tick is a JSON object");
    let text = |name: &str| {
        let text = members.get(name)?.get();
        serde_json::from_str(text).unwrap_or_else(|_| Some(text.to_owned()))
    };
    assert_eq!(text("symbol").as_deref(), Some(tick.symbol.as_str()));
    for (name, amount) in [
        ("price", Some(tick.price)),
        ("change", tick.change),
        ("prev_close", tick.prev_close),
    ] {
        let expected = text(name).map(|text: String| text.parse().expect("the text is a price"));
        match (amount, expected) {
            (Some(amount), Some(expected)) => assert!(amount.is_written_like(expected)),
            (amount, expected) => assert_eq!(amount, expected),
        }
    }
    let extras = extras(tick.extras.as_json());
    let extras: Members<'_> = serde_json::from_str(&extras).expect("extras are JSON");
    let expected = members
        .iter()
        .filter(|(name, _)| !FIELDS.contains(&name.as_str()));
    assert_eq!(values(&extras), values(expected));
    check_published(&tick);
}

/// Returns extras as an object.
fn extras(json: &[u8]) -> String {
    let members = String::from_utf8_lossy(json.strip_prefix(b",").unwrap_or(json)).into_owned();
    format!("{{{members}}}")
}

/// Returns the values of members. Numbers are compared as they are written, and texts by their
/// meaning.
fn values<'m, 'a: 'm>(
    members: impl IntoIterator<Item = (&'m String, &'m &'a RawValue)>,
) -> Vec<(String, String)> {
    let value = |(name, raw): (&String, &&RawValue)| {
        let text = serde_json::from_str(raw.get()).map(|text: String| format!("{text:?}"));
        (name.clone(), text.unwrap_or_else(|_| raw.get().to_owned()))
    };
    members.into_iter().map(value).collect()
}

/// Returns the time of a tick without a time.
fn arrival() -> Time {
    Time::from_millis(1_782_907_200_000).unwrap_or_default()
}

/// Publishes a tick, and checks what readers receive.
fn check_published(tick: &Tick) {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default());
    let now = Now {
        wall: tick.time.unwrap_or_else(arrival),
        ..Now::default()
    };
    let accepted = log
        .accept(tick, SourceId::default(), SourceOptions::default(), now)
        .expect("the market is empty");
    let frame = log
        .market()
        .newest(accepted.symbol)
        .expect("the tick is the newest");
    let (event, json) = (frame.event(), frame.json());
    let lines: Vec<_> = event.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
    let id = [b"id: ", tick.symbol.as_bytes()].concat();
    let data = [b"data: ", json].concat();
    assert_eq!(
        lines,
        [b"event: tick", &data[..], &id, b"", b""],
        "no line is forged"
    );
    let view = TickView::read(json).expect("a frame reads back");
    assert_eq!((view.symbol, view.n), (tick.symbol, 1));
    assert_eq!(view.price, tick.price.to_string());
    assert_eq!(view.time, now.wall);
    assert_eq!(view.extras, tick.extras.as_json());
    let published = PublishedTick::read(json.to_vec().into()).expect("a frame is a tick");
    assert!(published.price.is_written_like(tick.price));
    // As a number, any other time looks like another unit, and is refused.
    if !(100_000_000_000..100_000_000_000_000).contains(&now.wall.as_millis()) {
        return;
    }
    let recorded = Tick::from_recorded_json(json).expect("a frame is a recorded tick");
    assert!(recorded.price.is_written_like(tick.price));
    assert_eq!(
        (recorded.symbol, recorded.time),
        (tick.symbol, Some(now.wall))
    );
    assert_eq!(recorded.extras.as_json(), tick.extras.as_json());
}
