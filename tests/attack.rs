//! Attacks at a small size: the server still answers, everyone else is sent every tick, no more memory is taken than the formula of
//! SECURITY.md says, and nothing is left behind.
//!
//! How long others wait meanwhile needs a clock: `cargo xtask attack` measures it.

use std::time::Duration;

use attack::{ATTACKS, Attacker, Load, Process, Standing, memory_bound};
use futures_util::future::join_all;

use crate::client::Reader;
use crate::resumable::{data, open};
use crate::server::{SOON, TOKEN, TestServer, eventually};

/// Readers beside an attack: enough that every lane has some. Half of them read every tick, half the simple stream.
const READERS: usize = 16;

/// Between two ticks for them. Nothing is waited for by it: without a pause they would be a load of their own.
const PACE: Duration = Duration::from_millis(50);

/// How long an attack takes at most: what stays to hold something need not stay for long.
const LONGEST: Duration = Duration::from_secs(12);

/// Carries out an attack of this size on a market of so many symbols. Meanwhile others are served as ever.
async fn survives(name: &str, size: usize, symbols: usize) {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let market = attack.market.with_symbols(symbols);
    let server = TestServer::with(&[&["--source", "none"], attack.server].concat());
    let address = server.public.trim_start_matches("http://").parse().unwrap();
    let process = Process::new(server.pid());
    let mut others = Others::start(&server).await;
    let before = tokio::task::spawn_blocking(move || {
        market.publish(address, TOKEN).unwrap();
        process.forget_peak().unwrap();
        Standing::of(process, address).unwrap()
    });
    let before = before.await.unwrap();
    let held = held(&server).await;
    let acting = tokio::task::spawn_blocking(move || {
        let attacker = Attacker::new(address, process, &|| {}).within(LONGEST);
        attack.act(&attacker, &market, size).unwrap()
    });
    while !acting.is_finished() {
        others.are_served(&server).await;
        tokio::time::sleep(PACE).await;
    }
    let answers = acting.await.unwrap();
    eventually(async || {
        let standing = tokio::task::spawn_blocking(move || Standing::of(process, address));
        standing.await.unwrap().is_ok_and(|now| now.beyond(&before).is_empty())
    })
    .await;
    eventually(async || self::held(&server).await == held).await;
    others.are_served(&server).await;
    let load = Load { symbols: market.symbols as u64 + 1, connections: (size + READERS) as u64 };
    let (peak, bound) = (process.peak().unwrap(), memory_bound(load));
    assert!(peak <= bound, "{peak} bytes, of {bound}; attackers were answered {answers}");
}

/// What is held for readers and for those who ask, as the server's metrics say.
async fn held(server: &TestServer) -> Vec<String> {
    let metrics = server.http.get(format!("{}/metrics", server.admin)).send().await.unwrap();
    let names = ["streams", "filter_patterns", "filter_bytes", "exports", "large_answers"];
    let names = names.map(|name| format!("tickcast_{name} "));
    let text = metrics.text().await.unwrap();
    let held = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let held: Vec<_> = held.map(str::to_owned).collect();
    assert_eq!(held.len(), names.len(), "{held:?}");
    held
}

/// Readers who do nothing wrong.
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

    /// They are sent the next tick, and nobody missed the one before; the server says that it lives and is ready.
    async fn are_served(&mut self, server: &TestServer) {
        // One that hangs answers nobody: that is a failed test, and no test that hangs.
        tokio::time::timeout(SOON, self.next(server)).await.expect("the server serves nobody");
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
