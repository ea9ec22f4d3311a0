//! An attacker that reaches the public listener, and the building blocks of attacks.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::http::{remaining, status};
use crate::process::Process;

/// Maximum time of an attack, whatever the server does.
const MAX_ATTACK_TIME: Duration = Duration::from_secs(90);

/// Maximum time to connect, or to send a request.
const IO_TIMEOUT: Duration = Duration::from_secs(5);

/// Receive buffer of stalled clients, in bytes. The OS makes the buffer a little larger.
const STALLED_BUFFER_BYTES: usize = 4096;

/// An attacker of one server.
pub struct Attacker<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    end: Instant,
    restart: &'a (dyn Fn() + Sync),
}

impl std::fmt::Debug for Attacker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attacker")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<'a> Attacker<'a> {
    /// Creates an attacker with 90 seconds from now on. An attack that pauses the server calls
    /// `restart` when the server continues. The measurement of the other clients restarts then.
    #[must_use]
    pub fn new(address: SocketAddr, process: Process, restart: &'a (dyn Fn() + Sync)) -> Self {
        Self {
            address,
            process,
            end: Instant::now() + MAX_ATTACK_TIME,
            restart,
        }
    }

    /// Limits the time of the attacker. An attack that only holds resources ends after this time.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            end: Instant::now() + time,
            ..self
        }
    }

    /// Returns the end of this time, or the attacker's own end if the attacker's end is earlier.
    pub(crate) fn end_of(&self, time: Duration) -> Instant {
        self.end.min(Instant::now() + time)
    }

    /// Restarts the measurement. The server's behaviour until now does not count.
    pub(crate) fn restart_measurement(&self) {
        (self.restart)();
    }

    /// Waits for this time, at most until the attacker's end.
    pub(crate) fn wait(&self, time: Duration) {
        self.wait_until(Instant::now() + time);
    }

    /// Waits until this time, at most until the attacker's end.
    pub(crate) fn wait_until(&self, time: Instant) {
        std::thread::sleep(time.min(self.end).saturating_duration_since(Instant::now()));
    }

    /// Sends a request on a new connection. Returns `None` if the server does not accept the
    /// connection.
    pub(crate) fn request(&self, request: &str) -> Option<TcpStream> {
        self.send(request, None)
    }

    /// Sends `size` requests, each on a new connection. Returns the connections that the server
    /// accepted.
    pub(crate) fn request_many(
        &self,
        size: usize,
        request: impl Fn(usize) -> String,
    ) -> Vec<TcpStream> {
        (0..size)
            .filter_map(|i| self.request(&request(i)))
            .collect()
    }

    /// Sends `size` requests from stalled clients, which read almost nothing of the responses.
    pub(crate) fn stalled(&self, size: usize, request: &str) -> Vec<TcpStream> {
        (0..size)
            .filter_map(|_| self.send(request, Some(STALLED_BUFFER_BYTES)))
            .collect()
    }

    fn send(&self, request: &str, receive: Option<usize>) -> Option<TcpStream> {
        let timeout = remaining(self.end).ok()?.min(IO_TIMEOUT);
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None).ok()?;
        if let Some(bytes) = receive {
            socket.set_recv_buffer_size(bytes).ok()?;
        }
        socket.connect_timeout(&self.address.into(), timeout).ok()?;
        socket.set_write_timeout(Some(timeout)).ok()?;
        let mut socket = TcpStream::from(socket);
        socket.write_all(request.as_bytes()).ok()?;
        Some(socket)
    }

    /// Returns a count per response status within `timeout`, such as `690 × 200, 10 × 503`. The
    /// responses stay unread.
    pub(crate) fn answers(&self, sockets: &[TcpStream], timeout: Duration) -> String {
        let end = self.end_of(timeout);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for socket in sockets {
            let status =
                answer(socket, end).map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            *counts.entry(status).or_default() += 1;
        }
        let counts = counts
            .into_iter()
            .map(|(status, count)| format!("{count} × {status}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

/// Returns the status of a response that arrives before `end`.
fn answer(socket: &TcpStream, end: Instant) -> Option<u16> {
    // A response that has already arrived counts even after `end`.
    let timeout = remaining(end).unwrap_or(Duration::from_millis(1));
    socket.set_read_timeout(Some(timeout)).ok()?;
    let mut start = [0; 16];
    let length = socket.peek(&mut start).ok()?;
    status(&start[..length])
}

/// Closes a connection with a reset. The server detects the reset at its next write, or in its
/// poll.
pub(crate) fn reset(socket: TcpStream) {
    // If the option fails, the connection ends normally. A server must handle a normal end too.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}
