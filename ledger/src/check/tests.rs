//! Mutation tests of the checker. If any line of a valid ledger is removed, duplicated, swapped or
//! changed, the checker detects the change.

use proptest::prelude::*;

use super::*;

fn tick(symbol: &str, n: u64, seq: u64) -> Entry {
    let seen = Seen::Tick {
        symbol: symbol.to_owned(),
        n,
        price: format!("{symbol}{n}"),
    };
    Entry {
        id: format!("e-{seq}"),
        seen,
    }
}

fn event_at(seen: Seen, seq: u64) -> Entry {
    Entry {
        id: format!("e-{seq}"),
        seen,
    }
}

/// Returns a valid ledger: two symbols in turn with 40 ticks. The reader of every tick loses its
/// connection and comes back twice, once with a reset.
fn valid_ledger() -> (Book, Reader) {
    let names = ["A", "B"];
    let mut book = Book::default();
    for seq in 1..=40u64 {
        let symbol = names[(seq % 2) as usize];
        let prices = book.prices.entry(symbol.to_owned()).or_default();
        prices.push(format!("{symbol}{}", prices.len() + 1));
    }
    book.acknowledged = book.prices.clone();
    let at = |seq: u64| tick(names[(seq % 2) as usize], seq.div_ceil(2), seq);
    let connect = |cursor: Option<&str>| Entry {
        id: String::new(),
        seen: Seen::Connect(cursor.map(str::to_owned)),
    };
    let mut entries = vec![connect(None)];
    entries.extend((1..=10).map(at));
    entries.push(event_at(Seen::Ready { resumed: false }, 10));
    entries.extend((11..=20).map(at));
    entries.push(Entry {
        id: String::new(),
        seen: Seen::Lost,
    });
    entries.push(connect(Some("e-20")));
    entries.extend((21..=25).map(at));
    entries.push(event_at(Seen::Ready { resumed: true }, 25));
    entries.push(event_at(Seen::Heartbeat, 25));
    entries.push(Entry {
        id: String::new(),
        seen: Seen::Lost,
    });
    entries.push(connect(Some("x-1")));
    entries.push(event_at(
        Seen::Reset {
            reason: "epoch".to_owned(),
        },
        0,
    ));
    entries.extend((29..=30).map(at));
    entries.push(event_at(Seen::Ready { resumed: false }, 30));
    entries.extend((31..=40).map(at));
    let reader = Reader {
        name: "reader".to_owned(),
        all: true,
        symbols: BTreeSet::new(),
        healed: true,
        entries,
    };
    (book, reader)
}

fn is_tick(entry: &Entry) -> bool {
    matches!(entry.seen, Seen::Tick { .. })
}

/// Returns whether the entry is the first tick of a symbol since the start or a reset. Without this
/// tick the start is later, so there is no gap.
fn is_first(entries: &[Entry], at: usize) -> bool {
    let Seen::Tick { symbol, .. } = &entries[at].seen else {
        return false;
    };
    let since = entries[..at]
        .iter()
        .rev()
        .take_while(|entry| !matches!(entry.seen, Seen::Reset { .. }));
    !since
        .into_iter()
        .any(|entry| matches!(&entry.seen, Seen::Tick { symbol: other, .. } if other == symbol))
}

/// Returns whether the entry is the last tick of a symbol before a reset. A tick that was lost with
/// its connection looks the same.
fn is_last(entries: &[Entry], at: usize) -> bool {
    let Seen::Tick { symbol, .. } = &entries[at].seen else {
        return false;
    };
    let mut later = entries[at + 1..].iter();
    let next = later.find(|entry| match &entry.seen {
        Seen::Tick { symbol: other, .. } => other == symbol,
        seen => matches!(seen, Seen::Reset { .. }),
    });
    next.is_some_and(|entry| !is_tick(entry))
}

#[test]
fn a_valid_ledger_passes() {
    let (book, reader) = valid_ledger();
    let summary = check(&book, &[reader]).unwrap();
    assert_eq!(
        (
            summary.ticks,
            summary.connections,
            summary.resumed,
            summary.resets
        ),
        (37, 3, 1, 1)
    );
}

proptest! {
    #[test]
    fn a_removed_tick_is_detected(at in 0usize..60) {
        let (book, mut reader) = valid_ledger();
        prop_assume!(at < reader.entries.len() && is_tick(&reader.entries[at]) && !is_first(&reader.entries, at));
        prop_assume!(!is_last(&reader.entries, at));
        reader.entries.remove(at);
        let rule = check(&book, &[reader]).unwrap_err().rule;
        prop_assert!(matches!(rule, Rule::L1 | Rule::L5), "{:?}", rule);
    }

    #[test]
    fn a_duplicated_tick_is_detected(at in 0usize..60, later in 0usize..60) {
        let (book, mut reader) = valid_ledger();
        prop_assume!(at < reader.entries.len() && is_tick(&reader.entries[at]));
        let later = at + 1 + later % 3;
        prop_assume!(later <= reader.entries.len() && reader.entries[at..later].iter().all(is_tick));
        let double = reader.entries[at].clone();
        reader.entries.insert(later, double);
        prop_assert!(check(&book, &[reader]).is_err());
    }

    #[test]
    fn two_swapped_ticks_are_detected(at in 0usize..60, other in 0usize..60) {
        let (book, mut reader) = valid_ledger();
        let count = reader.entries.len();
        prop_assume!(at < count && other < count && at != other);
        prop_assume!(is_tick(&reader.entries[at]) && is_tick(&reader.entries[other]));
        reader.entries.swap(at, other);
        prop_assert!(check(&book, &[reader]).is_err());
    }

    #[test]
    fn a_changed_tick_is_detected(at in 0usize..60, what in 0..4) {
        let (book, mut reader) = valid_ledger();
        prop_assume!(at < reader.entries.len());
        let entry = &mut reader.entries[at];
        let Seen::Tick { symbol, n, price } = &mut entry.seen else { return Ok(()) };
        match what {
            0 => *n += 1,
            1 => price.push('0'),
            2 => *symbol = if symbol == "A" { "B" } else { "A" }.to_owned(),
            _ => entry.id = "e-999".to_owned(),
        }
        // If a position is too far ahead, only the next entry shows the error.
        prop_assume!(what < 3 || at + 1 < reader.entries.len());
        prop_assert!(check(&book, &[reader]).is_err());
    }

    #[test]
    fn an_acknowledged_tick_that_is_not_on_the_tape_is_detected(at in 0usize..20) {
        let (mut book, reader) = valid_ledger();
        book.prices.get_mut("A").unwrap().remove(at);
        prop_assert_eq!(check(&book, &[reader]).unwrap_err().rule, Rule::L4);
    }
}

#[test]
fn a_reset_needs_a_valid_reason() {
    let (book, reader) = valid_ledger();
    for change in [
        (|entry: &mut Entry| {
            entry.seen = Seen::Reset {
                reason: "bored".to_owned(),
            }
        }) as fn(&mut Entry),
        |entry| entry.seen = Seen::Ready { resumed: true },
    ] {
        let mut reader = reader.clone();
        let at = reader
            .entries
            .iter()
            .position(|entry| matches!(entry.seen, Seen::Reset { .. }))
            .unwrap();
        change(&mut reader.entries[at]);
        assert!(check(&book, &[reader]).is_err());
    }
    // A reset in the middle of a connection is invalid. So is a reset without a cursor, or because
    // of missing history for newest values.
    let mut middle = reader.clone();
    middle.entries.insert(
        5,
        event_at(
            Seen::Reset {
                reason: "expired".to_owned(),
            },
            0,
        ),
    );
    assert_eq!(check(&book, &[middle]).unwrap_err().rule, Rule::L6);
}

#[test]
fn newest_values_may_skip_but_never_go_back() {
    let (book, mut reader) = valid_ledger();
    reader.all = false;
    let middle = reader
        .entries
        .iter()
        .position(|entry| entry.id == "e-15")
        .unwrap();
    reader.entries.remove(middle);
    assert!(check(&book, &[reader.clone()]).is_ok());
    let last = reader.entries.len() - 1;
    reader.entries.remove(last);
    assert_eq!(check(&book, &[reader]).unwrap_err().rule, Rule::L5);
}
