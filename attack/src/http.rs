//! A minimal HTTP/1.0 client: one connection per request, and a timeout on every wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Requests `path`. Returns the status and the body. The whole request takes at most `timeout`.
///
/// # Errors
///
/// If the server cannot be reached, does not answer in time, or does not send HTTP.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<(u16, Vec<u8>)> {
    exchange(
        address,
        format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes(),
        timeout,
    )
}

/// Sends `request` on a new connection. Returns the status and the body of the response.
pub(crate) fn exchange(
    address: SocketAddr,
    request: &[u8],
    timeout: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    let end = Instant::now() + timeout;
    let mut socket = TcpStream::connect_timeout(&address, timeout)?;
    socket.set_write_timeout(Some(remaining(end)?))?;
    socket.write_all(request)?;
    let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        socket.set_read_timeout(Some(remaining(end)?))?;
        match socket.read(&mut chunk)? {
            0 => break,
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
    let body = memchr::memmem::find(&answer, b"\r\n\r\n").map(|at| at + 4);
    match (status(&answer), body) {
        (Some(status), Some(body)) => Ok((status, answer.split_off(body))),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is not HTTP",
        )),
    }
}

/// Returns the status at the start of a response.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns the time until `end`. Zero is an error, because the OS does not accept zero as a
/// timeout.
pub(crate) fn remaining(end: Instant) -> io::Result<Duration> {
    let remaining = end.saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(remaining)
    }
}
