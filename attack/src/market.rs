//! The market before an attack.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http::exchange;

/// Number of ticks per request.
const BATCH_TICKS: usize = 10_000;

/// Maximum time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Symbols and their ticks.
#[derive(Debug, Clone, Copy)]
pub struct Market {
    /// Number of symbols.
    pub symbols: usize,
    /// Number of ticks, published for all symbols in turn: at least one per symbol.
    pub ticks: usize,
    /// Bytes of extras in each tick.
    pub extras: usize,
    /// The start of the symbols' names; a number follows.
    pub prefix: &'static str,
}

impl Market {
    /// Returns the same market with this number of symbols, each with as many ticks as before.
    #[must_use]
    pub const fn with_symbols(self, symbols: usize) -> Self {
        match self.symbols {
            0 => self,
            before => Self {
                symbols,
                ticks: self.ticks / before * symbols,
                ..self
            },
        }
    }

    /// Returns the name of the symbol with this number.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        format!("{}{number:05}", self.prefix)
    }

    /// Publishes all ticks.
    ///
    /// # Errors
    ///
    /// If the server does not accept every tick.
    pub fn publish(&self, address: SocketAddr, token: &str) -> Result<()> {
        let extras = "x".repeat(self.extras);
        let numbers: Vec<usize> = (0..self.ticks).collect();
        for batch in numbers.chunks(BATCH_TICKS) {
            let mut lines = String::new();
            for number in batch {
                let (name, price) = (self.name(number % self.symbols), number + 1);
                writeln!(
                    lines,
                    r#"{{"symbol":"{name}","price":{price},"x":"{extras}"}}"#
                )?;
            }
            let accepted = publish(address, token, &lines, REQUEST_TIMEOUT)?;
            ensure!(
                accepted == batch.len() as u64,
                "{accepted} of {} ticks were accepted",
                batch.len()
            );
        }
        Ok(())
    }
}

/// Publishes NDJSON. Returns the number of accepted ticks.
fn publish(address: SocketAddr, token: &str, lines: &str, timeout: Duration) -> Result<u64> {
    let head = format!(
        "POST /v1/prices HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        lines.len()
    );
    let (status, answer) = exchange(
        address,
        [head.as_bytes(), lines.as_bytes()].concat().as_slice(),
        timeout,
    )
    .context("cannot publish ticks")?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(
        status == 200,
        "the publish request was answered with {status}: {text}"
    );
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    answer["accepted"].as_u64().with_context(|| {
        format!("the answer to the publish request has no number of accepted ticks: {text}")
    })
}
