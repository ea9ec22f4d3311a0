//! Measures how many streams per second a server can open. Each stream is closed as soon as its
//! snapshot is complete.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::error::{BenchError, Context};
use crate::wire::Wire;

/// Number of streams that are being opened at the same time.
const CONCURRENT_STREAMS: usize = 64;

/// Maximum number of bytes per read: more than a snapshot.
const READ_CHUNK_BYTES: usize = 64 << 10;

/// A stream that is being opened.
struct Opening<'r> {
    socket: TcpStream,
    request: &'r [u8],
    wire: Wire,
    asked: bool,
    ticks: usize,
    since: Instant,
}

/// Opens streams with these requests in turn while `window` returns `Some`. Each stream ends after
/// `snapshot` ticks. Returns the time of each stream that ended while `window` returned
/// `Some(true)`.
pub(crate) fn run(
    server: SocketAddr,
    requests: &[Vec<u8>],
    snapshot: usize,
    mut window: impl FnMut() -> Option<bool>,
) -> Result<Vec<Duration>, BenchError> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONCURRENT_STREAMS);
    let mut openings = Vec::new();
    for number in 0..CONCURRENT_STREAMS {
        openings.push(open(
            server,
            &poll,
            number,
            &requests[number % requests.len()],
        )?);
    }
    let (mut took, mut buffer) = (Vec::new(), vec![0; READ_CHUNK_BYTES]);
    let mut next = requests.iter().cycle();
    while let Some(counting) = window() {
        match poll.poll(&mut events, Some(Duration::from_millis(100))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("cannot wait for the streams")?,
        }
        for event in &events {
            let number = event.token().0;
            if openings[number].receive(snapshot, &mut buffer)? {
                if counting {
                    took.push(openings[number].since.elapsed());
                }
                // A reset instead of a close: the port is free again at once.
                SockRef::from(&openings[number].socket).set_linger(Some(Duration::ZERO))?;
                poll.registry().deregister(&mut openings[number].socket)?;
                openings[number] = open(
                    server,
                    &poll,
                    number,
                    next.next().map_or(&[], Vec::as_slice),
                )?;
            }
        }
    }
    Ok(took)
}

fn open<'r>(
    server: SocketAddr,
    poll: &Poll,
    number: usize,
    request: &'r [u8],
) -> Result<Opening<'r>, BenchError> {
    let since = Instant::now();
    let mut socket =
        TcpStream::connect(server).context("a stream of the benchmark cannot connect")?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut socket, Token(number), interest)?;
    Ok(Opening {
        socket,
        request,
        wire: Wire::new(),
        asked: false,
        ticks: 0,
        since,
    })
}

impl Opening<'_> {
    /// Sends the request and reads what is available now. Returns whether the stream has received
    /// `snapshot` ticks.
    fn receive(&mut self, snapshot: usize, buffer: &mut [u8]) -> Result<bool, BenchError> {
        if !self.asked {
            if let Some(error) = self.socket.take_error()? {
                return Err(error).context("a stream of the benchmark cannot connect");
            }
            match self.socket.write(self.request) {
                Ok(written) if written == self.request.len() => self.asked = true,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) => {}
                Ok(_) => {
                    return Err(BenchError::Failed(
                        "a request did not fit into the send buffer of its socket".to_owned(),
                    ));
                }
                Err(error) => {
                    return Err(error).context("a stream of the benchmark cannot send its request");
                }
            }
        }
        // The next event comes only after everything was read.
        while self.ticks < snapshot {
            match self.socket.read(buffer) {
                Ok(0) => {
                    return Err(BenchError::Failed(
                        "the server closed a stream before its snapshot".to_owned(),
                    ));
                }
                Ok(length) => {
                    let ticks = &mut self.ticks;
                    self.wire.feed(&buffer[..length], |_| *ticks += 1)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("a stream of the benchmark failed"),
            }
        }
        Ok(self.ticks >= snapshot)
    }
}
