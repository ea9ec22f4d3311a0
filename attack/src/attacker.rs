//! Someone who reaches the public listener, and what attacks are made of.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::http::{left, status};
use crate::process::Process;

/// How long an attack may take at most, whatever the server does.
const LONGEST: Duration = Duration::from_secs(90);

/// How long a connection, or a request's bytes, may take.
const SLOW: Duration = Duration::from_secs(5);

/// The receive buffer of those who take nothing: the system makes it a little more.
const SMALL: usize = 4096;

/// An attacker of one server.
pub struct Attacker<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    end: Instant,
    anew: &'a (dyn Fn() + Sync),
}

impl std::fmt::Debug for Attacker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attacker").field("address", &self.address).finish_non_exhaustive()
    }
}

impl<'a> Attacker<'a> {
    /// One that has 90 seconds from now on. An attack which pauses the server calls `anew` when it goes on: what others notice
    /// counts from then.
    #[must_use]
    pub fn new(address: SocketAddr, process: Process, anew: &'a (dyn Fn() + Sync)) -> Self {
        Self { address, process, end: Instant::now() + LONGEST, anew }
    }

    /// The same, with so much time from now on: what stays to hold something then leaves.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { end: Instant::now() + time, ..self }
    }

    /// When so much time, or its own, will be over.
    pub(crate) fn end_of(&self, time: Duration) -> Instant {
        self.end.min(Instant::now() + time)
    }

    /// What the server did until now does not count.
    pub(crate) fn begin_anew(&self) {
        (self.anew)();
    }

    /// Waits so long, or until its own time is over.
    pub(crate) fn wait(&self, time: Duration) {
        self.wait_until(Instant::now() + time);
    }

    /// Waits until then, or until its own time is over.
    pub(crate) fn wait_until(&self, time: Instant) {
        std::thread::sleep(time.min(self.end).saturating_duration_since(Instant::now()));
    }

    /// Sends a request on a connection of its own; `None` where the server takes none.
    pub(crate) fn ask(&self, request: &str) -> Option<TcpStream> {
        self.send(request, None)
    }

    /// Sends as many requests, each on a connection of its own; returns those that the server took.
    pub(crate) fn crowd(&self, size: usize, request: impl Fn(usize) -> String) -> Vec<TcpStream> {
        (0..size).filter_map(|i| self.ask(&request(i))).collect()
    }

    /// The same from those who take next to nothing of the answers.
    pub(crate) fn stalled(&self, size: usize, request: &str) -> Vec<TcpStream> {
        (0..size).filter_map(|_| self.send(request, Some(SMALL))).collect()
    }

    fn send(&self, request: &str, receive: Option<usize>) -> Option<TcpStream> {
        let patience = left(self.end).ok()?.min(SLOW);
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None).ok()?;
        if let Some(bytes) = receive {
            socket.set_recv_buffer_size(bytes).ok()?;
        }
        socket.connect_timeout(&self.address.into(), patience).ok()?;
        socket.set_write_timeout(Some(patience)).ok()?;
        let mut socket = TcpStream::from(socket);
        socket.write_all(request.as_bytes()).ok()?;
        Some(socket)
    }

    /// How these were answered within `patience`, without taking anything of the answers: such as `690 × 200, 10 × 503`.
    pub(crate) fn answers(&self, sockets: &[TcpStream], patience: Duration) -> String {
        let end = self.end_of(patience);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for socket in sockets {
            let status = answer(socket, end).map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            *counts.entry(status).or_default() += 1;
        }
        let counts = counts.into_iter().map(|(status, count)| format!("{count} × {status}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

/// The status of the answer that has come, or comes until `end`.
fn answer(socket: &TcpStream, end: Instant) -> Option<u16> {
    // What is there already is seen even where the time is over.
    let patience = left(end).unwrap_or(Duration::from_millis(1));
    socket.set_read_timeout(Some(patience)).ok()?;
    let mut begin = [0; 16];
    let length = socket.peek(&mut begin).ok()?;
    status(&begin[..length])
}

/// Closes connections by a reset: the server is told so at its next write, or by its poll.
pub(crate) fn reset(socket: TcpStream) {
    // Where this fails it is an ordinary end, which a server has to bear as well.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}
