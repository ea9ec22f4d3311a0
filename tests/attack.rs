//! Attacks at a small size. During each attack, the server still answers, and every other reader
//! receives every tick. The server uses no more memory than the formula of SECURITY.md allows, and
//! leaves nothing behind.
//!
//! How long the other readers wait needs a clock: `cargo xtask attack` measures this.

use std::time::Duration;

use attack::{ATTACKS, Attacker, Load, Process, ResourceUsage, memory_bound};
use futures_util::future::join_all;

use crate::client::Reader;
use crate::resumable::{data, open};
use crate::server::{TIMEOUT, TOKEN, TestServer, eventually};

/// Number of readers beside an attack: enough for some on every lane. Half of them read every tick,
/// the other half the simple stream.
const READERS: usize = 16;

/// Pause between two ticks for the other readers. No check depends on this pause. Without the
/// pause, the readers would be a load of their own.
const TICK_INTERVAL: Duration = Duration::from_millis(50);

/// Maximum duration of an attack. An attack that only holds resources need not hold them for long.
const MAX_ATTACK_TIME: Duration = Duration::from_secs(12);

/// Runs an attack of this size on a market with this number of symbols. Checks that the other
/// readers are served as usual meanwhile.
async fn survives(name: &str, size: usize, symbols: usize) {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let market = attack.market.with_symbols(symbols);
    let server = TestServer::with(&[&["--source", "none"], attack.server].concat());
    let address = server.public.trim_start_matches("http://").parse().unwrap();
    let process = Process::new(server.pid());
    let mut others = Others::start(&server).await;
    let before = tokio::task::spawn_blocking(move || {
        market.publish(address, TOKEN).unwrap();
        process.reset_peak().unwrap();
        ResourceUsage::of(process, address).unwrap()
    });
    let before = before.await.unwrap();
    let held_before = held(&server).await;
    let acting = tokio::task::spawn_blocking(move || {
        let attacker = Attacker::new(address, process, &|| {}).within(MAX_ATTACK_TIME);
        attack.act(&attacker, &market, size).unwrap()
    });
    while !acting.is_finished() {
        others.are_served(&server).await;
        tokio::time::sleep(TICK_INTERVAL).await;
    }
    let answers = acting.await.unwrap();
    eventually(async || {
        let usage = tokio::task::spawn_blocking(move || ResourceUsage::of(process, address));
        usage
            .await
            .unwrap()
            .is_ok_and(|now| now.exceeding(&before).is_empty())
    })
    .await;
    eventually(async || held(&server).await == held_before).await;
    others.are_served(&server).await;
    let load = Load {
        symbols: market.symbols as u64 + 1,
        connections: (size + READERS) as u64,
    };
    let (peak, bound) = (process.peak().unwrap(), memory_bound(load));
    assert!(
        peak <= bound,
        "the peak was {peak} bytes, the bound is {bound}; the attackers received {answers}"
    );
}

/// Returns the resources that the server holds for streams and requests, as the metrics of the
/// server report them.
async fn held(server: &TestServer) -> Vec<String> {
    let metrics = server
        .http
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap();
    let names = [
        "streams",
        "filter_patterns",
        "filter_bytes",
        "exports",
        "large_answers",
    ];
    let names = names.map(|name| format!("tickcast_{name} "));
    let text = metrics.text().await.unwrap();
    let held = text
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    let held: Vec<_> = held.map(str::to_owned).collect();
    assert_eq!(held.len(), names.len(), "{held:?}");
    held
}

/// Readers that behave correctly.
struct Others {
    readers: Vec<Reader>,
    ticks: u64,
}

impl Others {
    async fn start(server: &TestServer) -> Self {
        let readers = join_all((0..READERS).map(async |number| match number % 2 {
            0 => Reader::open(server, "?symbols=OTHER").await,
            _ => open(server, "?mode=all&symbols=OTHER").await,
        }));
        let readers = readers.await;
        server.wait_for_streams(READERS as u64).await;
        Self { readers, ticks: 0 }
    }

    /// Checks that every reader receives the next tick and missed none before. Checks that the
    /// server reports that it is live and ready.
    async fn are_served(&mut self, server: &TestServer) {
        // A server that hangs answers no request. The timeout makes the test fail instead of hang.
        tokio::time::timeout(TIMEOUT, self.next(server))
            .await
            .expect("the server serves no other reader");
    }

    async fn next(&mut self, server: &TestServer) {
        self.ticks += 1;
        server.publish(&[("OTHER", &self.ticks.to_string())]).await;
        let is_tick = |event: &eventsource_stream::Event| event.event == "tick";
        for tick in join_all(self.readers.iter_mut().map(|reader| reader.until(is_tick))).await {
            assert_eq!(data(&tick)["n"], self.ticks);
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(server.get(path).await.0, 200, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_readers_that_reset_during_a_pause() {
    survives("pause", 16, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_readers_that_reset_at_their_heartbeats() {
    survives("resets", 300, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_the_widest_requests_at_once() {
    survives("requests", 2, 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_repeated_pattern_changes() {
    survives("patches", 10, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_streams_with_unique_patterns_that_close() {
    survives("patterns", 300, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_bodies_that_never_arrive() {
    survives("bodies", 270, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_responses_that_are_not_read() {
    survives("answers", 20, 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_exports_that_are_not_read() {
    survives("exports", 100, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_survives_connections_without_a_window() {
    survives("windows", 5, 5_000).await;
}
