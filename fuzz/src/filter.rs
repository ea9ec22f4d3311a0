//! Filters.

use tickcast_core::{
    Epoch, Filter, Limits, Now, Price, Selection, Sequencer, SourceId, SourceOptions, Symbol, Tick,
};

/// Maximum number of names that the filters are compared with.
const MAX_NAMES: usize = 64;

/// Checks three filters, one per line: a request, what its reader may read, and a change. A filter
/// selects the names that one of its entries matches, in every way to select. Narrowing and changes
/// select what they say.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines: Vec<_> = text.lines().take(3).collect();
    let names = names(&lines);
    let filters: Vec<_> = lines
        .iter()
        .filter_map(|line| check_text(line, &names))
        .collect();
    if let [wanted, allowed, ..] = &filters[..] {
        check_narrowed(wanted, allowed, &names);
        check_changed(wanted, allowed, &names);
        if let (Some(more), Ok(narrowed)) = (filters.get(2), wanted.narrowed_to(allowed)) {
            check_narrowed(&narrowed, more, &names);
            check_narrowed(more, &narrowed, &names);
            check_changed(&narrowed, more, &names);
        }
    }
}

/// Returns the names of all entries, and names that patterns match or nearly match.
fn names(lines: &[&str]) -> Vec<Symbol> {
    let entries = lines.iter().flat_map(|line| line.split(','));
    let names = entries
        .flat_map(|entry| ["", "A", "-B", "BTC"].map(|run| Symbol::new(&entry.replace('*', run))));
    let mut names: Vec<_> = names
        .chain([Symbol::new("AAPL")])
        .flatten()
        .take(MAX_NAMES)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Checks one filter. Returns it if the text is one.
fn check_text(text: &str, names: &[Symbol]) -> Option<Filter> {
    let filter = Filter::parse(text.split(',')).ok()?;
    for name in names {
        let expected = text.split(',').any(|entry| matches(entry, name));
        assert_eq!(filter.matches(name), expected, "{name} in {text}");
    }
    let printed = filter.to_string();
    let again = Filter::parse(printed.split(',')).expect("a written filter is a filter");
    assert_eq!(again, filter, "{printed} of {text}");
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.filter_hash(), filter.filter_hash());
    check_selection(&filter, names);
    Some(filter)
}

/// Checks whether an entry matches a name. This is a second implementation of the rule: `reached`
/// says which starts of the name are matched so far.
fn matches(entry: &str, name: &Symbol) -> bool {
    let name = name.as_bytes();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for byte in entry.bytes() {
        if byte == b'*' {
            for at in 1..reached.len() {
                reached[at] |= reached[at - 1];
            }
        } else {
            for at in (1..reached.len()).rev() {
                reached[at] = reached[at - 1] && name[at - 1] == byte;
            }
            reached[0] = false;
        }
    }
    reached[name.len()]
}

/// Checks that every way to select symbols agrees.
fn check_selection(filter: &Filter, names: &[Symbol]) {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default());
    let Some(price) = Price::from_units(1, 0) else {
        return;
    };
    for name in names {
        let tick = Tick::new(*name, price);
        log.accept(
            &tick,
            SourceId::default(),
            SourceOptions::default(),
            Now::default(),
        )
        .expect("the market has room");
    }
    let (market, matcher) = (log.market(), filter.matcher());
    let selection = Selection::new(filter.clone(), market);
    for name in names {
        let expected = filter.matches(name);
        assert_eq!(matcher.matches(name), expected, "{name} in {filter}");
        let id = market.id(name).expect("the name is on the market");
        assert_eq!(selection.contains(id), expected, "{name} in {filter}");
        assert!(expected || !filter.is_all());
    }
}

/// Checks that a narrowed filter selects exactly what both filters select.
fn check_narrowed(wanted: &Filter, allowed: &Filter, names: &[Symbol]) {
    let named = wanted.names().iter().all(|name| allowed.matches(name));
    let narrowed = wanted.narrowed_to(allowed);
    assert_eq!(narrowed.is_ok(), named, "{wanted} in {allowed}");
    let Ok(narrowed) = narrowed else { return };
    for name in names {
        let both = wanted.matches(name) && allowed.matches(name);
        assert_eq!(
            narrowed.matches(name),
            both,
            "{name} of {wanted} in {allowed}"
        );
    }
    check_selection(&narrowed, names);
    let again = narrowed
        .narrowed_to(allowed)
        .expect("a narrowed filter is allowed");
    assert!(
        names
            .iter()
            .all(|name| again.matches(name) == narrowed.matches(name))
    );
}

/// Checks that a filter can be extended and reduced.
fn check_changed(filter: &Filter, change: &Filter, names: &[Symbol]) {
    if let Ok(more) = filter.with(change) {
        // A narrowed filter must be narrowed again after a change, so it may select less.
        for name in names.iter().filter(|name| more.matches(name)) {
            assert!(
                filter.matches(name) || change.matches(name),
                "{name} in {more}"
            );
        }
    }
    if let Ok(less) = filter.without(change) {
        for name in names.iter().filter(|name| less.matches(name)) {
            assert!(filter.matches(name), "{name} in {less}");
        }
        assert!(change.names().iter().all(|name| !less.matches(name)));
    }
}
