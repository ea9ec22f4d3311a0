//! `timing`: whether the time of an answer tells a forbidden symbol from a missing one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use attack::Market;
use memchr::memmem::find;
use tempfile::TempDir;

use crate::server::{Server, TOKEN};

/// Number of requests of each kind for one route.
const TRIES: usize = 1_000;

/// Number of requests of each kind before the measurement.
const WARM_UP: usize = 100;

/// Number of random splits. The largest difference of so many splits is the noise.
const SPLITS: usize = 200;

/// Maximum time until an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The tokens of readers and of a publisher. None is secret: the server runs as long as this program.
const CONFIG: &str = r#"
[access]
readers = "token"
[[access.key]]
alg = "HS256"
secret = "a secret of at least thirty-two bytes"
[[access.publisher]]
name = "desk"
token = "desk-token-0123456789"
symbols = ["PERMITTED*"]
"#;
const DESK: &str = "desk-token-0123456789";

/// The symbols that nobody with a token may read, and those that everybody may. The numbers from
/// [`SYMBOLS`] on are missing; the names are of the same length.
const FORBIDDEN: Market = market("FORBIDDEN");
const PERMITTED: Market = market("PERMITTED");
const SYMBOLS: usize = 5_000;

const fn market(prefix: &'static str) -> Market {
    Market {
        symbols: SYMBOLS,
        ticks: SYMBOLS,
        extras: 0,
        prefix,
    }
}

const TABLE_HEAD: &str = "
| request | median if forbidden | median if missing | difference | noise | verdict |
|---|---|---|---|---|---|";

/// The requests whose answers must take the same time.
const REQUESTS: [(&str, &str); 6] = [
    ("GET", "/v1/prices/SYMBOL"),
    ("GET", "/v1/candles/SYMBOL"),
    ("GET", "/v1/ticks/SYMBOL"),
    ("GET", "/v1/prices?symbols=SYMBOL"),
    ("GET", "/v1/stream?symbols=SYMBOL"),
    ("DELETE", "/v1/prices/SYMBOL"),
];

/// Measures each request, and then one whose answers must differ: a measurement that does not see that
/// difference would see no leak either.
pub(crate) fn run(program: &Path) -> Result<()> {
    let folder = TempDir::new()?;
    let config = folder.path().join("tickcast.toml");
    std::fs::write(&config, CONFIG)?;
    let config = config.to_str().context("the folder has no plain name")?;
    let server = Server::start(program, &["--config", config], false)?;
    FORBIDDEN.publish(server.address, TOKEN)?;
    PERMITTED.publish(server.address, TOKEN)?;
    let reader = sign(program, config)?;
    println!("{TABLE_HEAD}");
    let mut leaks = Vec::new();
    for (method, path) in REQUESTS {
        let token = if method == "GET" { &reader } else { DESK };
        let times = Times::measure(server.address, (method, path, token), FORBIDDEN)?;
        let (cells, differ) = times.judged();
        if differ {
            leaks.push(path);
        }
        let verdict = if differ { "**leaks**" } else { "held" };
        println!("| {method} {path} | {cells} | {verdict} |");
    }
    let get = ("GET", "/v1/prices/SYMBOL", reader.as_str());
    let control = Times::measure(server.address, get, PERMITTED)?;
    let (cells, differ) = control.judged();
    println!("| GET /v1/prices/SYMBOL, if permitted | {cells} | must differ |");
    ensure!(differ, "the noise hides even a 200 among 404s");
    if !leaks.is_empty() {
        bail!("the time tells what is forbidden: {}", leaks.join(", "));
    }
    Ok(())
}

/// Returns the token of a reader that may read a part of the market.
fn sign(program: &Path, config: &str) -> Result<String> {
    let mut sign = Command::new(program);
    sign.args(["token", "sign", "--config", config, "--expires", "1d"]);
    let output = sign.args(["--symbols", "PERMITTED*"]).output()?;
    ensure!(output.status.success(), "the program signs no token");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The times of answers, in nanoseconds.
struct Times {
    there: Vec<u64>,
    missing: Vec<u64>,
}

impl Times {
    /// Asks for a symbol that exists and for one that does not, in turn and in random order within
    /// each turn, so that whatever else happens on the machine concerns both alike.
    fn measure(address: SocketAddr, request: (&str, &str, &str), market: Market) -> Result<Self> {
        let (method, path, token) = request;
        let mut connection = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut ask = |number: usize| {
            let path = path.replace("SYMBOL", &market.name(number));
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            time(&mut connection, request.as_bytes())
        };
        let mut times = Self {
            there: Vec::new(),
            missing: Vec::new(),
        };
        for turn in 0..WARM_UP + TRIES {
            let first = fastrand::bool();
            for is_there in [first, !first] {
                let number = fastrand::usize(..SYMBOLS) + if is_there { 0 } else { SYMBOLS };
                let time = ask(number)?;
                match is_there {
                    _ if turn < WARM_UP => {}
                    true => times.there.push(time),
                    false => times.missing.push(time),
                }
            }
        }
        Ok(times)
    }

    /// Returns how far the medians are apart. A median does not care about the few answers that
    /// the machine holds up.
    fn difference(&self) -> u64 {
        median(&self.there).abs_diff(median(&self.missing))
    }

    /// Returns how far the medians of two random halves of the missing ones are apart, at most.
    ///
    /// The halves differ by chance alone. One split is too few: its halves may happen to have the same
    /// median, and then everything is a leak. Each half has half as many answers, so its median varies
    /// 1.4 times as much as those of [`Self::difference`], and the largest of 200 splits is about
    /// four standard deviations of the difference. So chance alone exceeds the noise about once in ten
    /// thousand measurements, and no measurement has to be repeated.
    fn noise(&self) -> u64 {
        let mut all = self.missing.clone();
        let splits = (0..SPLITS).map(|_| {
            fastrand::shuffle(&mut all);
            let (first, second) = all.split_at(all.len() / 2);
            median(first).abs_diff(median(second))
        });
        splits.max().unwrap_or_default()
    }

    /// Returns the cells of the table, and whether the difference is above the noise.
    fn judged(&self) -> (String, bool) {
        let (difference, noise) = (self.difference(), self.noise());
        let medians = [median(&self.there), median(&self.missing)];
        let [there, missing, apart, by_chance] = [medians[0], medians[1], difference, noise]
            .map(|nanos| format!("{:.2} µs", nanos as f64 / 1000.0));
        let cells = format!("{there} | {missing} | {apart} | {by_chance}");
        (cells, difference > noise)
    }
}

fn median(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Sends a request, and returns the time until its whole answer is there.
fn time(connection: &mut TcpStream, request: &[u8]) -> Result<u64> {
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    let begun = Instant::now();
    connection.write_all(request)?;
    while !is_whole(&answer)? {
        let length = connection.read(&mut chunk)?;
        ensure!(length > 0, "the connection ends");
        answer.extend_from_slice(&chunk[..length]);
    }
    Ok(u64::try_from(begun.elapsed().as_nanos())?)
}

/// Checks whether an answer has all bytes that its head promises.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(head) = find(answer, b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(&answer[..head])?;
    let mut lines = text.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer has no length")?.parse()?;
    Ok(answer.len() >= head + 4 + length)
}
