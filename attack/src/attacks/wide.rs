//! Small requests with much work: a hundred patterns that take long to compare with every name and
//! do not match.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::attacker::Attacker;
use crate::http::remaining;
use crate::market::Market;

/// Maximum number of patterns in a request.
const PATTERNS: usize = 100;

/// Maximum time until the responses.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in which a stream is changed repeatedly.
const CHANGE_TIME: Duration = Duration::from_secs(10);

/// Returns patterns that match half of a name, at each position of the name again.
fn patterns(series: char) -> Vec<String> {
    let half = "a".repeat(13);
    (0..PATTERNS)
        .map(|i| format!("*{half}b{series}{i:02}"))
        .collect()
}

/// Sends all requests at once, first for prices and then for streams.
pub(super) fn requests(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let list = patterns('A').join(",");
    let prices = attacker.request_many(size, |_| {
        format!("GET /v1/prices?symbols={list} HTTP/1.1\r\nHost: x\r\n\r\n")
    });
    let prices = attacker.answers(&prices, ANSWER_TIMEOUT);
    let list = patterns('B').join(",");
    let streams = attacker.request_many(size, |_| {
        format!("GET /v1/stream?snapshot=false&symbols=Y1,{list} HTTP/1.1\r\nHost: x\r\n\r\n")
    });
    let streams = attacker.answers(&streams, ANSWER_TIMEOUT);
    Ok(format!("prices {prices}; streams {streams}"))
}

/// Changes one stream `size` times per second, whether or not the server has answered the previous
/// change.
pub(super) fn patches(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let stream = attacker.request("GET /v1/stream?symbols=Y1 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = stream.context("no stream can be opened")?;
    let name = name(&mut stream)?;
    let bodies =
        ['A', 'B'].map(|series| format!("{{\"set\":[\"{}\"]}}", patterns(series).join("\",\"")));
    let start = Instant::now();
    let mut changes = Vec::new();
    for number in 0..size * CHANGE_TIME.as_secs() as usize {
        attacker.wait_until(start + Duration::from_secs(1) / size as u32 * number as u32);
        let body = &bodies[number % 2];
        let head = format!(
            "PATCH /v1/streams/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n",
            body.len()
        );
        changes.extend(attacker.request(&format!("{head}\r\n{body}")));
    }
    Ok(attacker.answers(&changes, ANSWER_TIMEOUT))
}

/// Returns the stream's name for changes, from the `ready` event.
fn name(stream: &mut TcpStream) -> Result<String> {
    let end = Instant::now() + ANSWER_TIMEOUT;
    let mut received = String::new();
    loop {
        stream.set_read_timeout(Some(remaining(end)?))?;
        let mut chunk = [0; 4096];
        let length = stream
            .read(&mut chunk)
            .context("the stream does not begin")?;
        anyhow::ensure!(length > 0, "the stream ends: {received}");
        received.push_str(&String::from_utf8_lossy(&chunk[..length]));
        let name = received
            .split_once(r#""stream":""#)
            .and_then(|(_, rest)| rest.split_once('"'));
        if let Some((name, _)) = name {
            return Ok(name.to_owned());
        }
    }
}
