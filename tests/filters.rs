//! Many readers with different filters.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::client::Reader;
use crate::server::TestServer;

/// Opens 1,000 readers with 1,000 different filters on 1,000 symbols. Checks that each reader
/// receives every tick of exactly its symbols.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_filters_select_exactly_their_symbols() {
    const COUNT: usize = 1000;
    const ROUNDS: u64 = 5;
    let server = TestServer::start();
    let name = |i: usize| format!("S{:03}", i % COUNT);
    // Two names, one of them half way round, and a pattern that selects ten symbols.
    let selected = |i: usize| -> Vec<String> {
        let ten = (i / 10 * 10)..(i / 10 * 10 + 10);
        ten.map(name)
            .chain([name(i + 100), name(i + 500)])
            .collect()
    };
    let readers = join_all((0..COUNT).map(async |i| {
        let query = format!(
            "?symbols={},{},S{:02}*",
            name(i + 100),
            name(i + 500),
            i / 10
        );
        Reader::open(&server, &query).await
    }));
    let readers = readers.await;
    server.wait_for_streams(COUNT as u64).await;
    let publish = async {
        for round in 1..=ROUNDS {
            let lines: String = (0..COUNT)
                .map(|i| format!("{{\"symbol\":\"{}\",\"price\":{round}}}\n", name(i * 7)))
                .collect();
            server.post_as("application/x-ndjson", lines).await;
        }
    };
    let read = join_all(
        readers
            .into_iter()
            .enumerate()
            .map(async |(i, mut reader)| {
                let selected = selected(i);
                let mut seen: BTreeMap<String, u64> = BTreeMap::new();
                for _ in 0..selected.len() as u64 * ROUNDS {
                    let tick = reader.tick().await;
                    let before = seen.insert(tick.symbol.clone(), tick.n).unwrap_or(0);
                    assert_eq!(tick.n, before + 1, "reader {i}: {}", tick.symbol);
                }
                let expected: BTreeMap<String, u64> =
                    selected.into_iter().map(|name| (name, ROUNDS)).collect();
                assert_eq!(seen, expected, "reader {i}");
            }),
    );
    futures_util::join!(publish, read);
}
