//! Which lanes the log wakes.

use std::sync::Arc;

use tickcast_core::{Price, Symbol, SymbolId, Tick};

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
