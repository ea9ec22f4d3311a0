//! Readers that leave when it hurts.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::attacker::{Attacker, reset};
use crate::market::Market;

/// The shortest heartbeat there is, and by how much a reset comes after it at most.
const HEARTBEAT: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_millis(4);

const ROUNDS: usize = 3;

/// Longer than a heartbeat: it is due for every stream when the server goes on.
const PAUSE: Duration = Duration::from_secs(5);

/// How long the server is watched once it goes on.
const WATCH: Duration = Duration::from_secs(5);

/// How long streams may take to be answered, and how long they stay.
const OPENING: Duration = Duration::from_secs(30);
const STAY: Duration = Duration::from_secs(2);

const QUIET: &str = "GET /v1/stream?heartbeat=3&symbols=NOBODY HTTP/1.1\r\nHost: x\r\n\r\n";

/// Each reader resets its connection within some milliseconds after its own heartbeat is due.
pub(super) fn resets(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    for _ in 0..ROUNDS {
        let open = |_| {
            let socket = attacker.ask(QUIET)?;
            Some((Instant::now() + HEARTBEAT + AFTER.mul_f64(fastrand::f64()), socket))
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

/// The server is paused, as a virtual machine or a laptop is; readers reset meanwhile, and when it goes on heartbeats are due.
pub(super) fn pause(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let readers = attacker.crowd(size, |_| QUIET.to_owned());
    let answers = attacker.answers(&readers, OPENING);
    attacker.process.signal("-STOP")?;
    readers.into_iter().for_each(reset);
    attacker.wait(PAUSE);
    attacker.process.signal("-CONT")?;
    attacker.begin_anew();
    attacker.wait(WATCH);
    Ok(answers)
}

/// Each stream wants the whole market and one symbol of its own: none has the filter of another.
pub(super) fn patterns(attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
    let prefix = market.prefix;
    let request =
        |i| format!("GET /prices/stream?snapshot=false&symbols={prefix}*,zz{i} HTTP/1.1\r\nHost: x\r\n\r\n");
    let readers = attacker.crowd(size, request);
    let answers = attacker.answers(&readers, OPENING);
    attacker.wait(STAY);
    Ok(answers)
}
