//! The program as it is released: built with a profile that it has recorded under load.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cases::{CASES, Case};
use super::runner::Runner;
use super::servers;
use crate::profile;
use crate::workspace::{build_dist, root, target};

/// Ticks that come alone, like those of P13, but in less time.
const LONE: Case = Case {
    name: "lone ticks",
    what: "one stream, a hundred ticks a second, nothing else",
    load: "--streams 1 --symbols 1 --rate 100 --warm-up 1s --seconds 10s",
    server: "",
    servers: &[],
};

/// The measured loads under which the program records its profile: fan-out, filters, paced streams,
/// ingest, new streams.
const LOADS: [&str; 7] = ["P1", "P3", "P4", "S5", "P8", "P9", "S2b"];

/// The loads that are repeated with a tape on disk.
const ON_DISK: [&str; 2] = ["P1", "P8"];

/// What clients ask of a simulated market, each for this time.
const PATHS: [&str; 10] = [
    "/",
    "/v1/prices",
    "/v1/prices/AAPL",
    "/v1/symbols",
    "/v1/status",
    "/v1/candles/AAPL?interval=1s",
    "/v1/candles/AAPL?interval=1m",
    "/v1/ticks/AAPL",
    "/v1/ticks/AAPL?format=csv",
    "/v1/ticks/AAPL?format=ndjson",
];
const ASKED_FOR: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A market with so many ticks that some seconds of its history are long answers.
const BUSY_MARKET: &str = "sim?rate=20000";

/// The length of a run of the ledger, which covers readers that resume, resets, restarts and TLS.
const LEDGER_SECONDS: &str = "20";

/// Builds the program as it is released. Returns the folder of the program. The profile is recorded
/// anew if the program has changed.
pub(super) fn build() -> Result<PathBuf> {
    std::env::set_current_dir(root()?)?;
    profile::check_tools()?;
    let programs = profile::build_recording()?;
    let loads = (
        LONE.load,
        LOADS,
        ON_DISK,
        PATHS,
        BUSY_MARKET,
        LEDGER_SECONDS,
    );
    profile::record(&programs.join("tickcast"), loads, || record(&programs))?;
    profile::build_profiled()
}

/// Builds the measured programs, tickcast as it is released.
pub(super) fn released() -> Result<Runner> {
    let (released, peers) = (build()?, build_dist(&["peers"])?);
    let programs = target()?.join("released");
    fs::create_dir_all(&programs)?;
    fs::copy(released.join("tickcast"), programs.join("tickcast"))?;
    for peer in ["floor", "textbook", "instructions"] {
        fs::copy(peers.join(peer), programs.join(peer))?;
    }
    Runner::of(programs)
}

fn record(programs: &Path) -> Result<()> {
    let runner = Runner::of(programs.to_path_buf())?;
    load(&runner, &LONE, &[])?;
    profile::weigh_as_seldom()?;
    for case in CASES.iter().filter(|case| LOADS.contains(&case.name)) {
        load(&runner, case, &[])?;
    }
    for case in CASES.iter().filter(|case| ON_DISK.contains(&case.name)) {
        let data = runner.folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let path = data.to_str().context("the path of the tape is not UTF-8")?;
        load(&runner, case, &["--data", path])?;
    }
    ask(programs)?;
    for tls in ["false", "true"] {
        keep_ledger(&programs.join("tickcast"), tls)?;
    }
    Ok(())
}

/// Puts the program under a load.
fn load(runner: &Runner, case: &Case, arguments: &[&str]) -> Result<()> {
    println!("records {} {}", case.name, arguments.join(" "));
    let own = case.server.split_whitespace();
    let arguments: Vec<_> = own.chain(arguments.iter().copied()).collect();
    let server = servers::tickcast(&runner.programs, "none", &arguments)?;
    runner.report(case, &server).context(case.name)?;
    Ok(())
}

/// Asks for everything that is no stream.
fn ask(programs: &Path) -> Result<()> {
    println!("records answers");
    let server = servers::tickcast(programs, BUSY_MARKET, &[])?;
    for path in PATHS {
        let begin = Instant::now();
        while begin.elapsed() < ASKED_FOR {
            get(&server.address, path)?;
        }
    }
    Ok(())
}

/// Reads one answer.
fn get(address: &str, path: &str) -> Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{path} was not answered with 200"
    );
    Ok(())
}

/// Runs the ledger with the program.
fn keep_ledger(program: &Path, tls: &str) -> Result<()> {
    println!("records a ledger, TLS: {tls}");
    let mut ledger = Command::new(build_dist(&["ledger"])?.join("ledger"));
    ledger
        .args(["run", "--seconds", LEDGER_SECONDS, "--readers", "50"])
        .args(["--tls", tls, "--program"])
        .arg(program)
        // The ledger kills the program, which must not spoil what others have recorded.
        .env("LLVM_PROFILE_FILE", profile::recorded()?.join("%p.profraw"));
    let clean = ledger.status().context("cannot run the ledger")?;
    ensure!(clean.success(), "the ledger is not clean");
    Ok(())
}
