//! Which lanes the log wakes, and when keys of requests are known.

use std::sync::Arc;

#[cfg(feature = "tape")]
use tickcast_core::{KeyProgress, Limits, Now, SourceId, SourceOptions, Time};
use tickcast_core::{Price, Symbol, SymbolId, Tick};

#[cfg(feature = "tape")]
use super::{Log, RequestProgress};
use crate::interest::Interest;

fn lanes(interest: &Interest, symbols: &[SymbolId]) -> Vec<usize> {
    let Some(listening) = interest.listening() else {
        return Vec::new();
    };
    let mut woken = interest.woken_by_everything(listening);
    interest.add_woken(&mut woken, listening, symbols.iter().copied());
    let lanes = std::cell::RefCell::new(Vec::new());
    interest.wake(woken, |lane| lanes.borrow_mut().push(lane));
    lanes.into_inner()
}

#[test]
fn only_interested_lanes_that_listen_are_woken() {
    let hub = crate::Hub::builder().lanes(1).build();
    let ids: Vec<_> = (0..3)
        .map(|number| {
            let symbol = Symbol::new(&format!("S{number}")).unwrap();
            let tick = Tick::new(symbol, Price::from_units(1, 0).unwrap());
            hub.try_publish(&tick).unwrap();
            hub.log().read(|log| log.market().id(&symbol)).unwrap()
        })
        .collect();
    let interest = Arc::new(Interest::default());
    let own: Vec<_> = [0, 5, 64, 69, 255]
        .into_iter()
        .map(|lane| interest.of_lane(lane))
        .collect();
    let listen = || own.iter().for_each(|lane| lane.listen(true));
    assert_eq!(lanes(&interest, &ids), [0; 0], "nobody listens");
    listen();
    assert_eq!(lanes(&interest, &ids), [0, 5, 64, 69, 255], "new symbols");
    assert_eq!(lanes(&interest, &ids), [0; 0], "all are awake");
    listen();
    assert_eq!(lanes(&interest, &ids), [0; 0], "nobody wants anything");
    own[1].want(ids[0].index(), true);
    own[4].want(ids[2].index(), true);
    assert_eq!(lanes(&interest, &ids[1..2]), [0; 0]);
    // Lane 69 shares a bit with lane 5.
    assert_eq!(lanes(&interest, &ids[..2]), [5, 69]);
    assert_eq!(lanes(&interest, &ids), [255]);
    listen();
    own[3].want(ids[0].index(), true);
    own[1].want(ids[0].index(), false);
    assert_eq!(
        lanes(&interest, &ids[..1]),
        [5, 69],
        "lane 69 still wants it"
    );
    own[2].want_everything(true);
    listen();
    assert_eq!(lanes(&interest, &ids[1..2]), [64]);
    own[2].want_everything(false);
    listen();
    assert_eq!(lanes(&interest, &ids[1..2]), [0; 0]);
}

/// The disk does not keep a request that has published nothing. It is known all the same, as soon as
/// everything before it is visible.
#[cfg(feature = "tape")]
#[test]
fn a_request_that_published_nothing_is_known_without_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let options = tickcast_tape::Options::default().sync(tickcast_tape::Sync::Never);
    let opened = tickcast_tape::open(folder.path(), options, Limits::default()).unwrap();
    let log = Log::on_disk(opened).unwrap();
    let tick = Tick::new(Symbol::new("A").unwrap(), Price::from_units(1, 0).unwrap());
    for number in 0..3_000_u64 {
        let context = || {
            (
                SourceId::default(),
                SourceOptions::default(),
                Now::default(),
            )
        };
        if number % 3 == 0 {
            let mut ticks = [&tick].into_iter().enumerate().peekable();
            log.append(&mut ticks, context(), |_, _| {}, || None);
            // The write has begun, and may not be done.
            while !log.lock().journal.has_nothing_staged() {}
        }
        let key = number.to_string();
        let note = || {
            Some(RequestProgress {
                key: KeyProgress {
                    key: &key,
                    next: 1,
                    done: true,
                    report: b"",
                },
                has_published: false,
            })
        };
        let mut none = std::iter::empty().peekable();
        log.append(&mut none, context(), |_, _| {}, note);
        log.wait_visible();
        let known = log.read(|log| log.keys().get(&key, Time::default()).is_some());
        assert!(known, "{number}");
    }
}
