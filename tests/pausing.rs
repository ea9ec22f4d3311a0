//! A reader that stops reading while the market continues, and then reads again.

use std::collections::{HashMap, HashSet};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::raw_field;
use crate::server::{TestServer, eventually};

/// Number of ticks during the pause of the reader: five seconds at the rate of the market.
const PAUSE_TICKS: u64 = 50_000;

/// The send buffer of the server for a socket, doubled by the system, plus the longest payload that
/// may start in the buffer.
const MAX_SENT_BYTES: usize = (256 << 10) + (64 << 10);

/// Returns the sequence number of the newest tick.
async fn head(server: &TestServer) -> u64 {
    let status = server.get("/v1/status").await.1;
    status["cursor"]
        .as_str()
        .unwrap()
        .split(['-', '.'])
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Returns the number of seconds for which the server has been running.
async fn uptime(server: &TestServer) -> u64 {
    let status = server.get("/v1/status").await.1;
    status["uptime_s"].as_u64().unwrap()
}

/// Returns the tick number of each symbol.
async fn counts(server: &TestServer) -> HashMap<String, u64> {
    let prices = server.get("/v1/prices").await.1;
    let count = |tick: &serde_json::Value| {
        (
            tick["symbol"].as_str().unwrap().into(),
            tick["n"].as_u64().unwrap(),
        )
    };
    prices["prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(count)
        .collect()
}

async fn pause_and_continue(io: &str) {
    let server = TestServer::with(&["--source", "sim:7?rate=10000", "--io-backend", io]);
    let mut socket = TcpStream::connect(server.public.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    SockRef::from(&socket)
        .set_recv_buffer_size(64 << 10)
        .unwrap();
    let receiving = SockRef::from(&socket).recv_buffer_size().unwrap();
    socket
        .write_all(b"GET /prices/stream HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    eventually(async || counts(&server).await.len() == 42).await;
    let (pause_start, before) = (head(&server).await, counts(&server).await);
    eventually(async || head(&server).await >= pause_start + PAUSE_TICKS).await;
    // On a busy machine all of them may have come at once. The reader falls behind when the first that
    // it lacks is older than `--max-lag` (1 s).
    let begin = uptime(&server).await;
    eventually(async || uptime(&server).await > begin + 2).await;
    let after_pause = counts(&server).await;
    let has_changed = |symbol: &str| after_pause[symbol] > before[symbol];

    // First the reader receives the bytes from before it reads again. Then it receives the newest
    // tick of each symbol once, and then every tick.
    let (mut text, mut bytes, mut parsed) = (String::new(), vec![0; 1 << 16], 0);
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut caught_up: HashSet<String> = HashSet::new();
    let (mut sent_before, mut live) = (0, 0);
    while live < 2000 {
        let length = socket.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0);
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        while let Some(end) = text[parsed..].find("\n\n") {
            let event = &text[parsed..parsed + end];
            let data = event
                .lines()
                .find_map(|line| line.strip_prefix("data: "))
                .unwrap();
            let (symbol, n) = (
                raw_field(data, "symbol"),
                raw_field(data, "n").parse::<u64>().unwrap(),
            );
            let symbol = symbol.trim_matches('"').to_owned();
            let last = seen.insert(symbol.clone(), n);
            assert!(
                last.is_none_or(|last| last < n),
                "{symbol} goes from {last:?} to {n}"
            );
            if caught_up.contains(&symbol) {
                assert_eq!(
                    last,
                    Some(n - 1),
                    "after the newest tick of {symbol}, every tick follows"
                );
                live += 1;
            } else if has_changed(&symbol) && n >= after_pause[&symbol] {
                caught_up.insert(symbol);
            } else if caught_up.is_empty() {
                sent_before = parsed + end + 2;
            }
            parsed += end + 2;
        }
    }
    assert!(
        sent_before <= receiving + MAX_SENT_BYTES,
        "the server sent {sent_before} bytes to a reader that did not read"
    );
    let changed = after_pause
        .keys()
        .filter(|symbol| has_changed(symbol))
        .count();
    assert!(
        changed > 30 && caught_up.len() > 30,
        "the reader received {} of {changed} symbols that ticked",
        caught_up.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_receives_the_newest_tick_of_each_symbol() {
    tokio::join!(pause_and_continue("epoll"), pause_and_continue("auto"));
}
