//! One run: publishers, readers, clients that reset connections, and a task that kills the server
//! and moves its clock.

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

use crate::clock::MovedClock;
use crate::reader::End;
use crate::server::{self, Server};
use crate::{publisher, reader, resetter};

/// Number of published symbols, and of publishers.
const SYMBOLS: usize = 20;
const PUBLISHERS: usize = 4;

/// The settings of a run.
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) seconds: u64,
    pub(crate) readers: usize,
    /// Number of clients that reset their connections. The run does not record their events; the
    /// resets only must not harm the other readers.
    pub(crate) resetters: usize,
    /// Whether the server speaks TLS.
    pub(crate) tls: bool,
    /// The path of `libfaketime`, if the server's clock must be moved.
    pub(crate) faketime: Option<PathBuf>,
    pub(crate) seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            program: "target/dist/tickcast".into(),
            seconds: 60,
            readers: 200,
            resetters: 20,
            tls: false,
            faketime: None,
            seed: fastrand::u64(..),
        }
    }
}

/// The faults besides kills.
#[derive(Debug, Default)]
pub(crate) struct FaultCounts {
    /// Number of reset connections.
    pub(crate) resets: usize,
    /// Number of times that the server reported a moved clock.
    pub(crate) clock_jumps: usize,
}

/// Runs the plan. Returns the ledger and the faults.
pub(crate) async fn run(plan: Plan) -> Result<(Book, Vec<Reader>, FaultCounts)> {
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let mut rng = Rng::with_seed(plan.seed);
    let folder = tempfile::tempdir()?;
    let clock = plan.faketime.clone().map(MovedClock::new).transpose()?;
    let server = Server::start(
        &plan.program,
        folder.path(),
        "127.0.0.1:0",
        clock.as_ref(),
        plan.tls,
    )?;
    let url = server.url.clone();
    let symbols: Vec<String> = (0..SYMBOLS).map(|i| format!("S{i:02}")).collect();

    let (stop, end) = (Arc::new(AtomicBool::new(false)), End::default());
    let publishers: Vec<_> = symbols
        .chunks(SYMBOLS / PUBLISHERS)
        .map(|share| {
            tokio::spawn(publisher::publish(
                url.clone(),
                share.to_vec(),
                Arc::clone(&stop),
                rng.fork(),
            ))
        })
        .collect();
    let readers: Vec<_> = (0..plan.readers)
        .map(|number| {
            Ok(tokio::spawn(reader::read(
                (url.clone(), server::client()?),
                symbols.clone(),
                number,
                Arc::clone(&end),
                rng.fork(),
            )))
        })
        .collect::<Result<_>>()?;

    let resetters: Vec<_> = (0..plan.resetters)
        .map(|_| tokio::spawn(resetter::reset(url.clone(), Arc::clone(&stop), rng.fork())))
        .collect();

    let injector = FaultInjector {
        plan: &plan,
        folder: folder.path(),
        clock,
    };
    let server = injector.run(server, &mut rng).await?;
    stop.store(true, Ordering::SeqCst);
    let mut faults = FaultCounts::default();
    for resetter in resetters {
        let resets = resetter.await?;
        anyhow::ensure!(resets > 0, "a resetter did not reset any connection");
        faults.resets += resets;
    }
    if let Some(clock) = &injector.clock {
        faults.clock_jumps = clock.jumps().load(Ordering::SeqCst);
        anyhow::ensure!(
            faults.clock_jumps > 0,
            "no server has noticed that its clock was moved"
        );
    }
    let mut acknowledged = BTreeMap::new();
    for publisher in publishers {
        acknowledged.extend(publisher.await??);
    }
    // No more ticks come, so every reader must get to this cursor.
    let status: Value = server::client()?
        .get(format!("{url}/v1/status"))
        .send()
        .await?
        .json()
        .await?;
    let head = status["cursor"]
        .as_str()
        .context("/v1/status has no cursor")?
        .to_owned();
    end.set(head).ok().context("the end was already set")?;
    let mut logs = Vec::new();
    for reader in readers {
        logs.push(reader.await?);
    }
    let mut book = Book {
        acknowledged,
        ..Book::default()
    };
    for symbol in &symbols {
        book.prices
            .insert(symbol.clone(), export(&url, symbol).await?);
    }
    server.end("-TERM")?;
    Ok((book, logs, faults))
}

/// The task that kills, stops and pauses the server, and moves its clock.
struct FaultInjector<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    clock: Option<MovedClock>,
}

impl FaultInjector<'_> {
    /// Injects faults until the time of the plan is over.
    async fn run(&self, mut server: Server, rng: &mut Rng) -> Result<Server> {
        let end = Instant::now() + Duration::from_secs(self.plan.seconds);
        let address = server::address(&server.url).to_owned();
        while Instant::now() < end {
            sleep(Duration::from_millis(rng.u64(1500..6000))).await;
            if let Some(clock) = self.clock.as_ref().filter(|_| rng.bool()) {
                clock.shift(rng)?;
                // In half of the cases the server continues with the moved clock. Otherwise the
                // server is killed at the same moment.
                if rng.bool() {
                    continue;
                }
            }
            match rng.u8(..10) {
                0..5 => {
                    server.end("-KILL")?;
                    sleep(Duration::from_millis(rng.u64(0..1500))).await;
                    server = self.start(&address)?;
                }
                5..8 => {
                    server.end("-TERM")?;
                    server = self.start(&address)?;
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

    fn start(&self, address: &str) -> Result<Server> {
        Server::start(
            &self.plan.program,
            self.folder,
            address,
            self.clock.as_ref(),
            self.plan.tls,
        )
    }
}

/// Returns the prices of a symbol on the tape, from the first tick on.
async fn export(url: &str, symbol: &str) -> Result<Vec<String>> {
    let answer = server::client()?
        .get(format!("{url}/v1/ticks/{symbol}?format=csv"))
        .send()
        .await?;
    if answer.status() == 404 {
        return Ok(Vec::new());
    }
    let text = answer.error_for_status()?.text().await?;
    let mut prices = Vec::new();
    for row in text.lines().skip(1) {
        let mut cells = row.split(',');
        let price = cells
            .nth(1)
            .context("a row of the export has no price")?
            .to_owned();
        let n: usize = cells
            .nth(3)
            .context("a row of the export has no number")?
            .parse()?;
        prices.push(price);
        anyhow::ensure!(
            n == prices.len(),
            "{symbol} {n} is the {}th on the tape",
            prices.len()
        );
    }
    Ok(prices)
}
