//! The operations that the core does for every tick or reader. `cargo bench --profile dist
//! --package peers` measures the time of each operation. `cargo xtask bench instructions` counts the
//! instructions.

use std::hint::black_box;
use std::time::Duration;

use tickcast_core::sse::{EventFormat, render};
use tickcast_core::{
    Epoch, Filter, Limits, Now, Replica, Selection, Seq, Sequencer, SourceId, SourceOptions,
    Symbol, Tick, TickSplitter,
};

/// A small operation that runs often.
pub struct Operation {
    /// The name on the command line.
    pub name: &'static str,
    /// The description of one run.
    pub what: &'static str,
    /// Runs the operation once.
    pub run: Box<dyn FnMut()>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Number of symbols in the market.
const SYMBOLS: usize = 1000;

/// Number of ticks in a batch.
const BATCH: u64 = 100;

fn line(i: usize) -> String {
    format!(
        "{{\"symbol\":\"S{i:04}\",\"price\":{}.{:02},\"bid\":101.25,\"volume\":1200}}\n",
        100 + i % 50,
        i % 100
    )
}

fn tick(i: usize) -> Tick {
    Tick::from_json(line(i).trim().as_bytes()).unwrap_or_else(|error| panic!("tick {i}: {error}"))
}

fn filter(entries: &str) -> Filter {
    Filter::parse(entries.split(',')).unwrap_or_else(|error| panic!("{entries}: {error}"))
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns a market of [`SYMBOLS`] symbols with one tick each, and its replica.
fn market() -> (Sequencer, Replica) {
    let mut sequencer = Sequencer::new(Epoch::new(1), Limits::default());
    for i in 0..SYMBOLS {
        accept(&mut sequencer, &tick(i));
    }
    sequencer.show();
    let mut replica = sequencer.replica();
    replica
        .catch_up(u64::MAX)
        .unwrap_or_else(|error| panic!("{error}"));
    (sequencer, replica)
}

fn accept(sequencer: &mut Sequencer, tick: &Tick) {
    let now = Now {
        uptime: Duration::from_secs(1),
        ..Now::default()
    };
    let accepted = sequencer.accept(tick, SourceId(0), SourceOptions::default(), now);
    black_box(accepted).unwrap_or_else(|error| panic!("{error}"));
}

/// Returns all operations, ready to run.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let operation = |name, what, run| Operation { name, what, run };
    vec![
        operation("parse", "a tick from its JSON", parse()),
        operation("cut", "100 lines of NDJSON cut apart and parsed", cut()),
        operation(
            "sequence",
            "a tick taken by the sequencer: its place, change and finished bytes",
            sequence(),
        ),
        operation(
            "match",
            "a symbol held against a filter of 10 patterns",
            matching(),
        ),
        operation(
            "select",
            "the symbols of 10 patterns found among 1,000",
            select(),
        ),
        operation("batch", "100 ticks rendered for a reader of all", batch()),
        operation(
            "newest",
            "the newest of 100 symbols out of 1,000 rendered for one who fell behind",
            newest(),
        ),
        operation(
            "snapshot",
            "10 named symbols rendered for one who connects",
            snapshot(),
        ),
    ]
}

fn parse() -> Box<dyn FnMut()> {
    let line = line(1);
    Box::new(move || {
        black_box(Tick::from_json(black_box(line.trim().as_bytes())))
            .unwrap_or_else(|error| panic!("{error}"));
    })
}

fn cut() -> Box<dyn FnMut()> {
    let lines: String = (0..100).map(line).collect();
    Box::new(move || {
        let mut items = TickSplitter::lines();
        items.push_bytes(black_box(lines.as_bytes()), |_, item| {
            black_box(item.tick()).unwrap_or_else(|rejected| panic!("{rejected:?}"));
        });
    })
}

fn sequence() -> Box<dyn FnMut()> {
    let (mut sequencer, _) = market();
    let tick = tick(1);
    Box::new(move || accept(&mut sequencer, black_box(&tick)))
}

const PATTERNS: &str = "A*,B*,C*,*-USD,*-EUR,X*Y,S00*,S01*,*.L,Z";

fn matching() -> Box<dyn FnMut()> {
    let (filter, symbol) = (filter(PATTERNS), symbol("BTC-GBP"));
    Box::new(move || {
        black_box(filter.matches(black_box(&symbol)));
    })
}

fn select() -> Box<dyn FnMut()> {
    let (filter, (_, replica)) = (filter(PATTERNS), market());
    Box::new(move || {
        black_box(Selection::new(filter.clone(), replica.market()));
    })
}

fn batch() -> Box<dyn FnMut()> {
    let (_, replica) = market();
    let selection = Selection::new(Filter::all(), replica.market());
    let from = Seq::new(replica.head().get() - BATCH);
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        black_box(render::all_ticks(
            (replica.market(), replica.tape()),
            &selection,
            (from, Seq::new(u64::MAX)),
            EventFormat::Simple,
            usize::MAX,
            &mut out,
        ));
    })
}

fn newest() -> Box<dyn FnMut()> {
    let (_, replica) = market();
    let selection = Selection::new(Filter::all(), replica.market());
    let places = (Seq::new(replica.head().get() - BATCH), replica.head());
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let log = (replica.market(), replica.tape(), None);
        black_box(render::conflated(
            log,
            &selection,
            places,
            EventFormat::Simple,
            usize::MAX,
            &mut out,
        ));
    })
}

fn snapshot() -> Box<dyn FnMut()> {
    let (_, replica) = market();
    let names = (0..10)
        .map(|i| format!("S{:04}", i * 97))
        .collect::<Vec<_>>()
        .join(",");
    let selection = Selection::new(filter(&names), replica.market());
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let (market, head) = (replica.market(), replica.head());
        black_box(render::snapshot_by_name(
            market,
            &selection,
            head,
            None,
            EventFormat::Simple,
            usize::MAX,
            &mut out,
        ));
    })
}
