//! Clients that send no body, and clients that read no response.

use std::time::Duration;

use anyhow::Result;

use crate::attacker::Attacker;
use crate::http::get;
use crate::market::Market;

/// Time that the clients stay connected. The time is shorter than the server's timeout for
/// progress.
const HOLD_TIME: Duration = Duration::from_secs(15);

/// Maximum time until the first responses.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The announced length of a body.
const ANNOUNCED_LENGTH: usize = 1_000_000;

/// Announces a long body, sends one byte of the body, then nothing more. The requests have no
/// token.
pub(super) fn bodies(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let request = |i: usize| {
        let route = if i.is_multiple_of(2) {
            "POST /v1/prices"
        } else {
            "PATCH /v1/streams/none"
        };
        format!("{route} HTTP/1.1\r\nHost: x\r\nContent-Length: {ANNOUNCED_LENGTH}\r\n\r\n[")
    };
    let sockets = attacker.request_many(size, request);
    attacker.wait(HOLD_TIME);
    Ok(attacker.answers(&sockets, Duration::ZERO))
}

/// Exports every tick and reads nothing. Also returns the response to another client's export at
/// the same time.
pub(super) fn exports(attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
    let path = format!("/v1/ticks/{}", market.name(0));
    let sockets = attacker.stalled(size, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let answers = attacker.answers(&sockets, ANSWER_TIMEOUT);
    let narrow = format!("{path}?from=1700000000000&to=1700000000001");
    let another = match get(attacker.address, &narrow, ANSWER_TIMEOUT) {
        Ok((status, _)) => status.to_string(),
        Err(error) => error.to_string(),
    };
    attacker.wait(HOLD_TIME);
    Ok(format!("{answers}; another client's export: {another}"))
}

/// Requests the whole market and reads nothing of the response.
pub(super) fn answers(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let sockets = attacker.stalled(size, "GET /v1/prices HTTP/1.1\r\nHost: x\r\n\r\n");
    let answers = attacker.answers(&sockets, ANSWER_TIMEOUT);
    attacker.wait(HOLD_TIME);
    Ok(answers)
}
