//! Attacks at a small size: the server still answers, takes no more memory than its formula says, and nothing is left behind.
//!
//! What others notice meanwhile needs a clock: `cargo xtask attack` measures it.

use attack::{ATTACKS, Attacker, Load, Process, Standing, memory_bound};
use futures_util::future::join_all;

use crate::client::Reader;
use crate::server::{TOKEN, TestServer, eventually};

/// Readers beside an attack: enough that every lane has some.
const READERS: usize = 16;

/// Carries out an attack of this size on a market of so many symbols. Whoever read before reads on.
async fn survives(name: &str, size: usize, symbols: usize) {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let market = attack.market.with_symbols(symbols);
    let server = TestServer::with(&[&["--source", "none"], attack.server].concat());
    let address = server.public.trim_start_matches("http://").parse().unwrap();
    let process = Process::new(server.pid());
    let mut readers = join_all((0..READERS).map(|_| Reader::open(&server, "?symbols=OTHER"))).await;
    server.wait_for_streams(READERS as u64).await;
    let acting = move || {
        market.publish(address, TOKEN).unwrap();
        let before = Standing::of(process, address).unwrap();
        attack.act(&Attacker::new(address, process, &|| {}), &market, size).unwrap();
        before
    };
    let before = tokio::task::spawn_blocking(acting).await.unwrap();
    eventually(async || {
        let standing = tokio::task::spawn_blocking(move || Standing::of(process, address));
        standing.await.unwrap().is_ok_and(|now| now.beyond(&before).is_empty())
    })
    .await;
    let connections = (size + READERS) as u64;
    let load = Load { symbols: market.symbols as u64, connections };
    let (peak, bound) = (process.peak().unwrap(), memory_bound(load));
    assert!(peak <= bound, "{peak} bytes, of {bound}");
    server.publish(&[("OTHER", "1")]).await;
    for tick in join_all(readers.iter_mut().map(Reader::tick)).await {
        assert_eq!(tick.price, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_reset_while_the_server_is_paused() {
    survives("pause", 16, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_reset_as_their_heartbeats_fall_due() {
    survives("resets", 300, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn widest_requests_at_once() {
    survives("requests", 2, 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_to_patterns_again_and_again() {
    survives("patches", 10, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_with_patterns_of_their_own_that_leave() {
    survives("patterns", 300, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come() {
    survives("bodies", 270, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes() {
    survives("answers", 20, 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_that_nobody_takes() {
    survives("exports", 100, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_window() {
    survives("windows", 5, 5_000).await;
}
