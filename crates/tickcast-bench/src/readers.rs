//! The streams of a benchmark. One thread reads all of them.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::error::{BenchError, Context};
use crate::load::Load;
use crate::report::histogram;
use crate::wire::Wire;

/// Maximum number of bytes per read.
const READ_CHUNK_BYTES: usize = 256 << 10;

/// Receive buffer of a stream that is never read. The small buffer is full at once.
const STALLED_BUFFER_BYTES: usize = 4 << 10;

/// Maximum number of sockets per poll.
const EVENTS_PER_POLL: usize = 1024;

/// The largest latency that the histogram can distinguish, in microseconds.
const MAX_LATENCY_US: u64 = 600_000_000;

/// Time between two checks of the stalled streams.
const STALLED_LOOK: Duration = Duration::from_secs(1);

struct Stream {
    socket: TcpStream,
    wire: Wire,
    /// The newest tick that this stream received.
    last: u64,
    open: bool,
    /// Whether the ticks of this stream are decoded. If not, only bytes are counted once the stream
    /// is open.
    looked_at: bool,
}

/// Counts of what the streams received.
pub(crate) struct Tally {
    /// All ticks on the decoded streams.
    pub(crate) seen: u64,
    /// Bytes on the decoded streams. The next field holds the bytes on all streams.
    pub(crate) bytes_seen: u64,
    pub(crate) bytes: u64,
    /// Measured ticks on the decoded streams. All following fields also cover the decoded streams
    /// only.
    pub(crate) measured: u64,
    /// Ticks that are older than an earlier tick of the same stream.
    pub(crate) disordered: u64,
    /// Streams that the server ended.
    pub(crate) lost: u64,
    /// Time from when a measured tick was due until the tick was received, in microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// All streams.
pub(crate) struct Readers {
    server: SocketAddr,
    poll: Poll,
    streams: Vec<Stream>,
    /// Streams that are never read, and their requests.
    stalled: Vec<(Socket, Vec<u8>)>,
    /// Number of times the server closed a stalled stream. A close is the expected behaviour.
    pub(crate) cut: u64,
    next_look: Instant,
    load: Load,
    pub(crate) tally: Tally,
    buffer: Vec<u8>,
}

impl Tally {
    /// Returns the number of ticks on all streams. If only some streams are decoded, the number for
    /// the others is estimated from their bytes.
    pub(crate) fn delivered(&self) -> f64 {
        if self.bytes_seen == 0 {
            0.0
        } else {
            self.seen as f64 * self.bytes as f64 / self.bytes_seen as f64
        }
    }

    fn new() -> Self {
        let latency = histogram(MAX_LATENCY_US);
        Self {
            seen: 0,
            bytes_seen: 0,
            bytes: 0,
            measured: 0,
            disordered: 0,
            lost: 0,
            latency,
        }
    }
}

impl Readers {
    pub(crate) fn new(server: SocketAddr, load: Load) -> Result<Self, BenchError> {
        Ok(Self {
            server,
            poll: Poll::new()?,
            streams: Vec::new(),
            stalled: Vec::new(),
            cut: 0,
            next_look: Instant::now(),
            load,
            tally: Tally::new(),
            buffer: vec![0; READ_CHUNK_BYTES],
        })
    }

    /// Opens a stream with this request.
    pub(crate) fn open(&mut self, request: &[u8], looked_at: bool) -> Result<(), BenchError> {
        let mut socket = std::net::TcpStream::connect(self.server).context(format!(
            "stream {} of the benchmark cannot connect",
            self.streams.len() + 1
        ))?;
        socket.write_all(request)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        self.poll.registry().register(
            &mut socket,
            Token(self.streams.len()),
            Interest::READABLE,
        )?;
        self.streams.push(Stream {
            socket,
            wire: Wire::new(),
            last: 0,
            open: true,
            looked_at,
        });
        Ok(())
    }

    /// Opens a stream that is never read.
    pub(crate) fn open_stalled(&mut self, request: Vec<u8>) -> Result<(), BenchError> {
        let socket = stall(self.server, &request)?;
        self.stalled.push((socket, request));
        Ok(())
    }

    /// Checks whether every stream has been answered.
    pub(crate) fn all_open(&self) -> bool {
        self.streams.iter().all(|stream| stream.wire.open())
    }

    /// Reads until `deadline`, or until `enough` returns true. `start` is the time when the
    /// schedule of the ticks began, if it has begun.
    pub(crate) fn read(
        &mut self,
        start: Option<Instant>,
        deadline: Instant,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        while !enough(self) {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            if now >= self.next_look {
                self.next_look = now + STALLED_LOOK;
                self.renew_stalled()?;
            }
            let wait = deadline.min(self.next_look).saturating_duration_since(now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("cannot wait for the streams")?,
            }
            for event in &events {
                self.receive(event.token().0, start)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, number: usize, start: Option<Instant>) -> Result<(), BenchError> {
        let stream = &mut self.streams[number];
        let measured = self.load.measured();
        let (load, tally) = (self.load, &mut self.tally);
        while stream.open {
            let skim = stream.wire.open() && !stream.looked_at;
            let length = match receive(&mut stream.socket, &mut self.buffer, skim) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => {
                    stream.open = false;
                    tally.lost += 1;
                    if !stream.wire.open() {
                        let why = "the server closed a stream without an answer".to_owned();
                        return Err(BenchError::Failed(why));
                    }
                    break;
                }
            };
            tally.bytes += length as u64;
            if skim {
                continue;
            }
            tally.bytes_seen += if stream.looked_at { length as u64 } else { 0 };
            let now = Instant::now();
            let last = &mut stream.last;
            stream.wire.feed(&self.buffer[..length], |tick| {
                tally.seen += 1;
                if measured.contains(&tick) {
                    tally.measured += 1;
                    tally.disordered += u64::from(tick <= *last);
                    if let Some(start) = start {
                        let late = now.saturating_duration_since(load.due_at(start, tick));
                        tally.latency.saturating_record(late.as_micros() as u64);
                    }
                }
                *last = tick.max(*last);
            })?;
            // A read that does not fill the buffer has emptied the socket.
            if length < self.buffer.len() {
                break;
            }
        }
        Ok(())
    }

    /// Reopens each stalled stream that the server has closed after the write timeout. The new
    /// stream is never read either.
    fn renew_stalled(&mut self) -> Result<(), BenchError> {
        for (socket, request) in &mut self.stalled {
            let ended = !matches!(socket.take_error(), Ok(None)) || socket.peer_addr().is_err();
            if ended {
                self.cut += 1;
                *socket = stall(self.server, request)?;
            }
        }
        Ok(())
    }
}

/// Reads bytes. With `skim`, only the number of bytes is returned on Linux: bytes that are not
/// copied cost almost nothing.
fn receive(socket: &mut TcpStream, buffer: &mut [u8], skim: bool) -> std::io::Result<usize> {
    #[cfg(target_os = "linux")]
    if skim {
        let (_, length) = rustix::net::recv(&*socket, buffer, rustix::net::RecvFlags::TRUNC)?;
        return Ok(length);
    }
    let _ = skim;
    socket.read(buffer)
}

fn stall(server: SocketAddr, request: &[u8]) -> Result<Socket, BenchError> {
    let mut socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_recv_buffer_size(STALLED_BUFFER_BYTES)?;
    socket
        .connect(&server.into())
        .context("a stalled stream of the benchmark cannot connect")?;
    socket.write_all(request)?;
    Ok(socket)
}
