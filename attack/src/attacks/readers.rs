//! Readers that disconnect at a bad moment.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::attacker::{Attacker, reset};
use crate::market::Market;

/// The shortest heartbeat interval, and the maximum delay of a reset after a heartbeat is due.
const HEARTBEAT: Duration = Duration::from_secs(3);
const MAX_RESET_DELAY: Duration = Duration::from_millis(4);

const ROUNDS: usize = 3;

/// Longer than a heartbeat interval. When the server continues, the heartbeat of every stream is
/// due.
const PAUSE_TIME: Duration = Duration::from_secs(5);

/// Observation time after the server continues.
const OBSERVATION_TIME: Duration = Duration::from_secs(5);

/// Maximum time until streams are answered, and the time that streams stay open.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const OPEN_TIME: Duration = Duration::from_secs(2);

const IDLE_STREAM: &str = "GET /v1/stream?heartbeat=3&symbols=NOBODY HTTP/1.1\r\nHost: x\r\n\r\n";

/// Resets each reader's connection a few milliseconds after the reader's own heartbeat is due.
pub(super) fn resets(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    for _ in 0..ROUNDS {
        let open = |_| {
            let socket = attacker.request(IDLE_STREAM)?;
            Some((
                Instant::now() + HEARTBEAT + MAX_RESET_DELAY.mul_f64(fastrand::f64()),
                socket,
            ))
        };
        let mut readers: Vec<_> = (0..size).filter_map(open).collect();
        readers.sort_by_key(|(due, _)| *due);
        for (due, socket) in readers {
            attacker.wait_until(due);
            reset(socket);
        }
    }
    Ok(String::new())
}

/// Pauses the server, as happens to a virtual machine or a laptop. Readers reset meanwhile. When
/// the server continues, heartbeats are due.
pub(super) fn pause(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let readers = attacker.request_many(size, |_| IDLE_STREAM.to_owned());
    let answers = attacker.answers(&readers, ANSWER_TIMEOUT);
    attacker.process.signal("-STOP")?;
    readers.into_iter().for_each(reset);
    attacker.wait(PAUSE_TIME);
    attacker.process.signal("-CONT")?;
    attacker.restart_measurement();
    attacker.wait(OBSERVATION_TIME);
    Ok(answers)
}

/// Opens streams that subscribe to the whole market and to one symbol of their own, so no two
/// filters are equal.
pub(super) fn patterns(attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
    let prefix = market.prefix;
    let request = |i| {
        format!(
            "GET /prices/stream?snapshot=false&symbols={prefix}*,zz{i} HTTP/1.1\r\nHost: x\r\n\r\n"
        )
    };
    let readers = attacker.request_many(size, request);
    let answers = attacker.answers(&readers, ANSWER_TIMEOUT);
    attacker.wait(OPEN_TIME);
    Ok(answers)
}
