//! Well-behaved readers and a publisher, which measure the delay from publish to receive.
//!
//! The ticks are numbered, and the time at which a tick is due follows from its number. Every
//! reader subscribes to every tick, so no tick is conflated. A delayed reader therefore sees each
//! tick late. If a reader has not received a tick, the tick's delay counts until now.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::TOKEN;

/// Number of readers.
pub(crate) const READERS: usize = 100;

/// Number of symbols of the readers.
pub(crate) const SYMBOLS: u64 = 20;

/// Number of ticks that are due together, and their interval: 500 ticks per second.
const BATCH: u64 = 5;
const INTERVAL: Duration = Duration::from_millis(10);

/// Maximum number of ticks per request, if the publisher itself was delayed.
const MAX_REQUEST_TICKS: u64 = 5_000;

/// Maximum time of a publisher's request, and maximum time until every reader receives ticks.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum delay that the histogram distinguishes.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// The text before the number of a tick.
const NUMBER: &[u8] = b"\"k\":";

/// The measurement of the other clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delays {
    /// The 99th percentile of the delay from publish to receive.
    pub(crate) p99: Duration,
    /// Number of readers that lost their connection since the start.
    pub(crate) lost: usize,
}

/// The other clients, which publish and read until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Others(Arc<Mutex<Window>>);

/// The current measurement.
struct Window {
    /// The time when tick 0 was due.
    start: Instant,
    /// The first tick that counts.
    from: u64,
    /// The delays in microseconds.
    delays: Histogram<u64>,
    /// The next tick of each reader.
    next: Vec<u64>,
    lost: usize,
}

impl Others {
    /// Starts the clients on their own thread, and waits until every reader has received a tick.
    pub(crate) fn start(address: SocketAddr) -> Result<Self> {
        let delays = Histogram::new_with_max(MAX_DELAY.as_micros() as u64, 3)?;
        let window = Window {
            start: Instant::now(),
            from: 0,
            delays,
            next: vec![0; READERS],
            lost: 0,
        };
        let others = Self(Arc::new(Mutex::new(window)));
        let weak = Arc::downgrade(&others.0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || runtime.block_on(run(address, &weak)));
        let start = Instant::now();
        while others.with(|window| window.next.contains(&0)) {
            ensure!(
                start.elapsed() < REQUEST_TIMEOUT,
                "not every reader received a tick"
            );
            std::thread::sleep(INTERVAL);
        }
        Ok(others)
    }

    /// Restarts the measurement. Only ticks that are due from now on count.
    pub(crate) fn start_measurement(&self) {
        self.with(|window| {
            window.from = window.due_until(Instant::now());
            window.delays.reset();
        });
    }

    /// Returns the measurement since [`Self::begin`]. A tick that a reader has not received counts
    /// with the delay until now.
    pub(crate) fn delays(&self) -> Delays {
        self.with(|window| {
            let (now, mut delays) = (Instant::now(), window.delays.clone());
            for next in &window.next {
                for number in window.from.max(*next)..window.due_until(now) {
                    delays.saturating_record(window.delay(number, now));
                }
            }
            Delays {
                p99: Duration::from_micros(delays.value_at_quantile(0.99)),
                lost: window.lost,
            }
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Window) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Window {
    /// Returns the first tick that is not due at `time`.
    fn due_until(&self, time: Instant) -> u64 {
        (time.duration_since(self.start).as_micros() / INTERVAL.as_micros()) as u64 * BATCH
    }

    fn delay(&self, number: u64, now: Instant) -> u64 {
        let due = self.start + INTERVAL * (number / BATCH) as u32;
        now.saturating_duration_since(due).as_micros() as u64
    }

    fn seen(&mut self, reader: usize, number: u64) {
        // The publisher repeats ticks whose acceptance is unknown. Readers may have received these
        // ticks already.
        if number >= self.next[reader] {
            self.next[reader] = number + 1;
            if number >= self.from {
                let delay = self.delay(number, Instant::now());
                self.delays.saturating_record(delay);
            }
        }
    }
}

/// Reads and publishes until the window is dropped.
async fn run(address: SocketAddr, window: &Weak<Mutex<Window>>) -> Result<()> {
    for reader in 0..READERS {
        let window = window.clone();
        tokio::spawn(async move {
            // Any end of the reader means a lost connection.
            let _ = read(address, &window, reader).await;
            if let Some(window) = window.upgrade() {
                Others(window).with(|window| window.lost += 1);
            }
        });
    }
    let http = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .build()?;
    let mut next = 0;
    while let Some(window) = window.upgrade() {
        let due = Others(window)
            .with(|window| window.due_until(Instant::now()))
            .min(next + MAX_REQUEST_TICKS);
        // If a publish fails, its ticks are published again together with the next ticks.
        if next < due && publish(&http, address, next..due).await.is_ok() {
            next = due;
        }
        tokio::time::sleep(INTERVAL / 5).await;
    }
    Ok(())
}

async fn publish(
    http: &reqwest::Client,
    address: SocketAddr,
    ticks: std::ops::Range<u64>,
) -> Result<()> {
    let mut lines = String::new();
    for number in ticks {
        let symbol = number % SYMBOLS;
        writeln!(
            lines,
            r#"{{"symbol":"OTHERS{symbol}","price":{},"k":{number}}}"#,
            number + 1
        )?;
    }
    let request = http
        .post(format!("http://{address}/v1/prices"))
        .bearer_auth(TOKEN);
    let request = request
        .header("content-type", "application/x-ndjson")
        .body(lines);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

/// Reads one stream until its end.
async fn read(address: SocketAddr, window: &Weak<Mutex<Window>>, reader: usize) -> Result<()> {
    let symbols: Vec<_> = (0..SYMBOLS)
        .map(|symbol| format!("OTHERS{symbol}"))
        .collect();
    let request = format!(
        "GET /v1/stream?mode=all&symbols={} HTTP/1.0\r\nHost: x\r\n\r\n",
        symbols.join(",")
    );
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let finder = Finder::new(NUMBER);
    let (mut text, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = socket.read(&mut chunk).await?;
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        text.extend_from_slice(&chunk[..length]);
        let complete = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
        let others = Others(window.upgrade().context("over")?);
        others.with(|window| {
            for at in finder.find_iter(&text[..complete]) {
                window.seen(reader, number(&text[at + NUMBER.len()..complete]));
            }
        });
        text.drain(..complete);
    }
}

/// Returns the number at the start of `digits`.
fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
