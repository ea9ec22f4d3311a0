//! Little to ask for, much to work out: a hundred patterns that are long at every name, and match none.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::attacker::Attacker;
use crate::http::left;
use crate::market::Market;

/// How many patterns a request may have.
const PATTERNS: usize = 100;

/// How long answers may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a stream is changed again and again.
const CHANGING: Duration = Duration::from_secs(10);

/// Patterns that follow the market's names for half their length, at each place anew.
fn patterns(series: char) -> Vec<String> {
    let half = "a".repeat(13);
    (0..PATTERNS).map(|i| format!("*{half}b{series}{i:02}")).collect()
}

/// All at once, first for prices and then for streams.
pub(super) fn requests(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let list = patterns('A').join(",");
    let prices =
        attacker.crowd(size, |_| format!("GET /v1/prices?symbols={list} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let prices = attacker.answers(&prices, PATIENCE);
    let list = patterns('B').join(",");
    let streams = attacker.crowd(size, |_| {
        format!("GET /v1/stream?snapshot=false&symbols=Y1,{list} HTTP/1.1\r\nHost: x\r\n\r\n")
    });
    let streams = attacker.answers(&streams, PATIENCE);
    Ok(format!("prices {prices}; streams {streams}"))
}

/// One stream, changed so many times a second, whether or not the server has answered the last one.
pub(super) fn patches(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let stream = attacker.ask("GET /v1/stream?symbols=Y1 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = stream.context("no stream can be opened")?;
    let name = name(&mut stream)?;
    let bodies = ['A', 'B'].map(|series| format!("{{\"set\":[\"{}\"]}}", patterns(series).join("\",\"")));
    let begin = Instant::now();
    let mut changes = Vec::new();
    for number in 0..size * CHANGING.as_secs() as usize {
        attacker.wait_until(begin + Duration::from_secs(1) / size as u32 * number as u32);
        let body = &bodies[number % 2];
        let head =
            format!("PATCH /v1/streams/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.len());
        changes.extend(attacker.ask(&format!("{head}\r\n{body}")));
    }
    Ok(attacker.answers(&changes, PATIENCE))
}

/// What a stream can be changed by, as its `ready` event says.
fn name(stream: &mut TcpStream) -> Result<String> {
    let end = Instant::now() + PATIENCE;
    let mut seen = String::new();
    loop {
        stream.set_read_timeout(Some(left(end)?))?;
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).context("the stream does not begin")?;
        anyhow::ensure!(length > 0, "the stream ends: {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        let name = seen.split_once(r#""stream":""#).and_then(|(_, rest)| rest.split_once('"'));
        if let Some((name, _)) = name {
            return Ok(name.to_owned());
        }
    }
}
