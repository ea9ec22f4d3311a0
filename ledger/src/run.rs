//! One run: publishers, readers, and someone who kills the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use ledger::{Book, Reader};
use serde_json::Value;
use tokio::time::sleep;

use crate::reader::End;
use crate::server::Server;
use crate::{publisher, reader};

/// What is published.
const SYMBOLS: usize = 20;
const PUBLISHERS: usize = 4;

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) seconds: u64,
    pub(crate) readers: usize,
    pub(crate) seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { program: "target/release/tickcast".into(), seconds: 60, readers: 200, seed: fastrand::u64(..) }
    }
}

/// Runs it; returns the ledger.
pub(crate) async fn run(plan: Plan) -> Result<(Book, Vec<Reader>)> {
    rlimit::increase_nofile_limit(u64::MAX).context("few open files are allowed")?;
    let mut rng = Rng::with_seed(plan.seed);
    let folder = tempfile::tempdir()?;
    let server = Server::start(&plan.program, folder.path(), "127.0.0.1:0")?;
    let url = server.url.clone();
    let symbols: Vec<String> = (0..SYMBOLS).map(|i| format!("S{i:02}")).collect();

    let (stop, end) = (Arc::new(AtomicBool::new(false)), End::default());
    let publishers: Vec<_> = symbols
        .chunks(SYMBOLS / PUBLISHERS)
        .map(|share| {
            tokio::spawn(publisher::publish(url.clone(), share.to_vec(), Arc::clone(&stop), rng.fork()))
        })
        .collect();
    let readers: Vec<_> = (0..plan.readers)
        .map(|number| {
            tokio::spawn(reader::read(url.clone(), symbols.clone(), number, Arc::clone(&end), rng.fork()))
        })
        .collect();

    let server = torment(server, &plan, folder.path(), &mut rng).await?;
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = BTreeMap::new();
    for publisher in publishers {
        acknowledged.extend(publisher.await??);
    }
    // Nothing moves any more: this is where everyone is to get to.
    let status: Value = reqwest::get(format!("{url}/v1/status")).await?.json().await?;
    let head = status["cursor"].as_str().context("no cursor")?.to_owned();
    end.set(head).ok().context("the end was set before")?;
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.await?);
    }
    let mut book = Book { acknowledged, ..Book::default() };
    for symbol in &symbols {
        book.prices.insert(symbol.clone(), export(&url, symbol).await?);
    }
    server.end("-TERM")?;
    Ok((book, seen))
}

/// Does to the server what can be done, again and again.
async fn torment(mut server: Server, plan: &Plan, folder: &Path, rng: &mut Rng) -> Result<Server> {
    let end = Instant::now() + Duration::from_secs(plan.seconds);
    let address = server.url.trim_start_matches("http://").to_owned();
    while Instant::now() < end {
        sleep(Duration::from_millis(rng.u64(1500..6000))).await;
        match rng.u8(..10) {
            0..5 => {
                server.end("-KILL")?;
                sleep(Duration::from_millis(rng.u64(0..1500))).await;
                server = Server::start(&plan.program, folder, &address)?;
            }
            5..8 => {
                server.end("-TERM")?;
                server = Server::start(&plan.program, folder, &address)?;
            }
            _ => {
                server.signal("-STOP")?;
                sleep(Duration::from_millis(rng.u64(100..3000))).await;
                server.signal("-CONT")?;
            }
        }
    }
    Ok(server)
}

/// What is on the tape of a symbol, from its first tick on.
async fn export(url: &str, symbol: &str) -> Result<Vec<String>> {
    let answer = reqwest::get(format!("{url}/v1/ticks/{symbol}?format=csv")).await?;
    if answer.status() == 404 {
        return Ok(Vec::new());
    }
    let text = answer.error_for_status()?.text().await?;
    let mut prices = Vec::new();
    for row in text.lines().skip(1) {
        let mut cells = row.split(',');
        let price = cells.nth(1).context("no price")?.to_owned();
        let n: usize = cells.nth(3).context("no number")?.parse()?;
        prices.push(price);
        anyhow::ensure!(n == prices.len(), "{symbol} {n} is the {}th on the tape", prices.len());
    }
    Ok(prices)
}
