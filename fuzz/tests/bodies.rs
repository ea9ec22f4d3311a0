//! Runs the body of each fuzz target over its corpus, and over mutations of the corpus.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestError, TestRunner};

/// A change of an input.
#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
    /// Puts a part of another input into this one.
    Splice(Index, Vec<u8>, Index),
}

/// Bytes that mean something in one of the formats.
const MEANINGFUL: &[u8] = b"\0\n\r \"',.:;*-+/\\{}[]=&?%0198eEnTtuZ_\x7f\x80\xff";

impl Mutation {
    fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let end = |at: usize, count: usize| (at + count).min(length);
        match self {
            Self::Set(at, value) if length > 0 => bytes[at.index(length)] = value,
            Self::Flip(at, bits) if length > 0 => bytes[at.index(length)] ^= bits,
            Self::Insert(at, more) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, more);
            }
            Self::Remove(at, count) => {
                let at = at.index(length + 1);
                bytes.drain(at..end(at, count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(length + 1);
                let part = bytes[at..end(at, count)].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Cut(at) => bytes.truncate(at.index(length + 1)),
            Self::Splice(at, other, from) => {
                let at = at.index(length + 1);
                let from = from.index(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            Self::Set(..) | Self::Flip(..) => {}
        }
    }
}

fn mutation(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), select(MEANINGFUL)).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        2 => (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        2 => (at(), prop::collection::vec(select(MEANINGFUL), 1..5)).prop_map(|(at, more)| Mutation::Insert(at, more)),
        2 => (at(), 1usize..20).prop_map(|(at, count)| Mutation::Remove(at, count)),
        2 => (at(), 1usize..40).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        1 => at().prop_map(Mutation::Cut),
        2 => (at(), select(corpus), at()).prop_map(|(at, other, from)| Mutation::Splice(at, other, from)),
    ]
}

/// Returns inputs: mostly changed inputs of the corpus, and a few of random bytes.
fn inputs(corpus: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let mutations = prop::collection::vec(mutation(corpus.to_vec()), 1..6);
    let changed = (select(corpus.to_vec()), mutations).prop_map(|(mut bytes, mutations)| {
        mutations
            .into_iter()
            .for_each(|mutation| mutation.apply(&mut bytes));
        bytes
    });
    prop_oneof![9 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Returns the corpus of a target, in order of the files.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Returns how many times as many cases are run: the variable `CASES`, by default 1.
fn factor() -> u32 {
    let factor = std::env::var("CASES").ok();
    factor.map_or(1, |factor| factor.parse().expect("CASES is a number"))
}

fn check(target: &str, body: fn(&[u8]), cases: u32) {
    let corpus = corpus(target);
    corpus.iter().for_each(|input| body(input));
    let config = Config {
        cases: cases * factor(),
        failure_persistence: None,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&inputs(&corpus), |input| {
        body(&input);
        Ok(())
    });
    match run {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("b\"{}\": {why}", input.escape_ascii()),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Makes a test of each target, with its number of cases, and the list of all targets.
macro_rules! targets {
    ($($target:ident: $cases:literal,)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                check(stringify!($target), tickcast_fuzz::$target, $cases);
            }
        )*
    };
}

targets! {
    cursor: 8000,
    exchange_frame: 8000,
    filter: 4000,
    price: 8000,
    proxy_header: 8000,
    publish: 1000,
    query: 2000,
    records: 2000,
    request_head: 2000,
    symbol: 4000,
    tape_files: 300,
    tape_footer: 300,
    tape_segment: 300,
    tape_snapshot: 300,
    tick: 8000,
    time: 8000,
    token: 4000,
}

/// Checks that libFuzzer has the same targets as these tests, and that each has a corpus.
#[test]
fn each_target_has_a_corpus_and_a_program() {
    let names = |folder_name: &str| -> BTreeSet<String> {
        let files = fs::read_dir(folder(folder_name)).unwrap();
        let stem = |file: PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
        files.map(|file| stem(file.unwrap().path())).collect()
    };
    let expected: BTreeSet<_> = TARGETS.iter().copied().map(str::to_owned).collect();
    assert_eq!(names("corpus"), expected);
    assert_eq!(names("targets/fuzz_targets"), expected);
    for target in TARGETS {
        let program = folder("targets/fuzz_targets")
            .join(target)
            .with_extension("rs");
        let program = fs::read_to_string(program).unwrap();
        assert!(
            program.contains(&format!("tickcast_fuzz::{target}(data)")),
            "{target}"
        );
        assert!(
            corpus(target).iter().all(|input| input.len() <= 2048),
            "{target}"
        );
    }
}
