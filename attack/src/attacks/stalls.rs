//! Those who give nothing, and those who take nothing.

use std::time::Duration;

use anyhow::Result;

use crate::attacker::Attacker;
use crate::http::get;
use crate::market::Market;

/// How long they stay: shorter than what a server waits for the least progress.
const STAY: Duration = Duration::from_secs(15);

/// How long the first answers may take.
const OPENING: Duration = Duration::from_secs(5);

/// The length that a body is said to have.
const PROMISED: usize = 1_000_000;

/// Says that a long body follows, sends one byte of it, and nothing more. There is no token.
pub(super) fn bodies(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let request = |i: usize| {
        let route = if i.is_multiple_of(2) { "POST /v1/prices" } else { "PATCH /v1/streams/none" };
        format!("{route} HTTP/1.1\r\nHost: x\r\nContent-Length: {PROMISED}\r\n\r\n[")
    };
    let sockets = attacker.crowd(size, request);
    attacker.wait(STAY);
    Ok(attacker.answers(&sockets, Duration::ZERO))
}

/// Asks for every tick and takes none; says what someone else's export is answered meanwhile.
pub(super) fn exports(attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
    let path = format!("/v1/ticks/{}", market.name(0));
    let sockets = attacker.stalled(size, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let answers = attacker.answers(&sockets, OPENING);
    let narrow = format!("{path}?from=1700000000000&to=1700000000001");
    let another = match get(attacker.address, &narrow, OPENING) {
        Ok((status, _)) => status.to_string(),
        Err(error) => error.to_string(),
    };
    attacker.wait(STAY);
    Ok(format!("{answers}; another's export: {another}"))
}

/// Asks for the whole market and takes nothing of it.
pub(super) fn answers(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let sockets = attacker.stalled(size, "GET /v1/prices HTTP/1.1\r\nHost: x\r\n\r\n");
    let answers = attacker.answers(&sockets, OPENING);
    attacker.wait(STAY);
    Ok(answers)
}
