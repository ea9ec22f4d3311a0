//! HTTP/2 connections whose flow-control window is zero from the start. The sockets are always
//! writable, but the responses cannot be sent.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::attacker::Attacker;
use crate::http::remaining;
use crate::market::Market;

/// Number of requests per connection: the server's usual maximum of concurrent streams.
const REQUESTS: u32 = 200;

/// Time that the clients stay connected.
const HOLD_TIME: Duration = Duration::from_secs(20);

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types and flags (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 0x5;

/// `SETTINGS_INITIAL_WINDOW_SIZE = 0`: the server must not send any byte on a stream.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// Maximum size of a frame that the client reads: the protocol's default maximum.
const MAX_FRAME_BYTES: usize = 16_384;

/// The results of a connection's requests.
#[derive(Default)]
struct Results {
    answered: usize,
    refused: usize,
    ended: bool,
}

/// Requests the whole market on each stream, and answers the frames that keep a connection alive.
pub(super) fn windows(attacker: &Attacker<'_>, _: &Market, size: usize) -> Result<String> {
    let end = attacker.end_of(HOLD_TIME);
    let sockets = attacker.request_many(size, |_| PREFACE.to_owned());
    let results: Vec<Results> = std::thread::scope(|scope| {
        let hold = |socket| scope.spawn(move || hold(socket, end));
        let holding: Vec<_> = sockets.into_iter().map(hold).collect();
        holding
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let sum = |of: fn(&Results) -> usize| results.iter().map(of).sum::<usize>();
    let (answered, refused) = (
        sum(|results| results.answered),
        sum(|results| results.refused),
    );
    let ended = sum(|results| usize::from(results.ended));
    Ok(format!(
        "{answered} answered, {refused} refused or cut, {ended} connections ended"
    ))
}

/// Holds one connection until `end`, or until the server ends the connection.
fn hold(mut socket: TcpStream, end: Instant) -> Results {
    let mut results = Results::default();
    // Any error ends the connection.
    let outcome = exchange_frames(&mut socket, end, &mut results);
    results.ended = outcome.is_err_and(|error| {
        !matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
        )
    });
    results
}

fn exchange_frames(socket: &mut TcpStream, end: Instant, results: &mut Results) -> io::Result<()> {
    let mut requests = frame(SETTINGS, 0, 0, &NO_WINDOW);
    for number in 0..REQUESTS {
        requests.extend(frame(
            HEADERS,
            END_STREAM_AND_HEADERS,
            2 * number + 1,
            &fields(),
        ));
    }
    socket.write_all(&requests)?;
    loop {
        socket.set_read_timeout(Some(remaining(end)?))?;
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if payload.len() > MAX_FRAME_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        socket.read_exact(&mut payload)?;
        match kind {
            PING if flags & ACK == 0 => socket.write_all(&frame(PING, ACK, 0, &payload))?,
            SETTINGS if flags & ACK == 0 => socket.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            HEADERS => results.answered += 1,
            RST_STREAM => results.refused += 1,
            GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns the header block of `GET http://x/v1/prices`. Names are indices of the static table, and
/// values are literals (RFC 7541, section 6).
fn fields() -> Vec<u8> {
    const GET: u8 = 0x80 | 2;
    const HTTP: u8 = 0x80 | 6;
    let literal = |name: u8, value: &str| [&[name, value.len() as u8], value.as_bytes()].concat();
    [vec![GET, HTTP], literal(1, "x"), literal(4, "/v1/prices")].concat()
}
