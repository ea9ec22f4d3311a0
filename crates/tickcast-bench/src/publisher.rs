//! The publishing side of a benchmark, as an open loop: each tick is sent when the tick is due,
//! whatever the server does.

use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{BenchError, Context};
use crate::load::Load;

/// Maximum time for the server to send its answers.
const ANSWERS: Duration = Duration::from_secs(10);

/// The address of the server and the way to publish ticks.
#[derive(Debug, Clone)]
pub(crate) struct BenchPublisher {
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    /// One request per tick, for servers without batches.
    pub(crate) no_batch: bool,
}

impl BenchPublisher {
    /// Sends the first round: one tick per symbol. Fails early if the address or the token is
    /// wrong.
    pub(crate) fn first_round(&self, load: &Load) -> Result<(), BenchError> {
        let mut publishing = self.begin(*load)?;
        publishing.send(1..load.first())?;
        publishing.finish()
    }

    /// Sends the schedule, which begins at `start`, from its own thread.
    pub(crate) fn follow(&self, load: Load, start: Instant) -> JoinHandle<Result<(), BenchError>> {
        let desk = self.clone();
        std::thread::spawn(move || {
            let mut publishing = desk.begin(load)?;
            let mut next = load.first();
            while next < load.measured().end {
                let due = load.due(start.elapsed());
                if due > next {
                    publishing.send(next..due)?;
                    next = due;
                } else {
                    std::thread::sleep(
                        load.due_at(start, next)
                            .saturating_duration_since(Instant::now()),
                    );
                }
            }
            publishing.finish()
        })
    }

    /// Sends ticks as fast as the server accepts them, for `time`. Returns the number of ticks.
    pub(crate) fn flood(&self, load: &Load, time: Duration) -> Result<u64, BenchError> {
        const BLOCK: u64 = 10_000;
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for first in (0..10 * BLOCK).step_by(1000) {
            let mut body = Vec::new();
            lines(load, first..first + 1000, &mut body);
            blocks.push(chunk(&body));
        }
        let mut publishing = self.begin(*load)?;
        let start = Instant::now();
        for block in blocks.iter().cycle() {
            if start.elapsed() >= time {
                break;
            }
            publishing
                .socket
                .write_all(block)
                .context("the server accepts no more ticks")?;
            publishing.sent += 1000;
        }
        let sent = publishing.sent;
        publishing.finish()?;
        Ok(sent)
    }

    fn begin(&self, load: Load) -> Result<Publishing, BenchError> {
        let mut socket = TcpStream::connect(self.server).context("the publisher cannot connect")?;
        socket.set_nodelay(true)?;
        let all = Arc::new(OnceLock::new());
        let answers = if self.no_batch {
            let (socket, all) = (socket.try_clone()?, Arc::clone(&all));
            Some(std::thread::spawn(move || count_answers(socket, &all)))
        } else {
            let head = format!(
                "{}content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
                self.head()
            );
            socket.write_all(head.as_bytes())?;
            None
        };
        Ok(Publishing {
            head: self.head(),
            socket,
            load,
            answers,
            all,
            sent: 0,
            bytes: Vec::new(),
        })
    }

    fn head(&self) -> String {
        let Self {
            server,
            path,
            token,
            ..
        } = self;
        let token = token.as_ref().map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        format!("POST {path} HTTP/1.1\r\nhost: {server}\r\n{token}")
    }
}

/// A connection that publishes ticks.
struct Publishing {
    head: String,
    socket: TcpStream,
    load: Load,
    /// The thread that counts the answers, if the server sends one answer per tick.
    answers: Option<JoinHandle<Result<u64, BenchError>>>,
    /// The total number of answers, once this number is known.
    all: Arc<OnceLock<u64>>,
    sent: u64,
    bytes: Vec<u8>,
}

impl Publishing {
    fn send(&mut self, ticks: Range<u64>) -> Result<(), BenchError> {
        self.sent += ticks.end - ticks.start;
        self.bytes.clear();
        if self.answers.is_some() {
            for tick in ticks {
                let body = finished(&self.load, tick);
                let length = body.len();
                let _ = write!(
                    &mut self.bytes,
                    "{}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
                    self.head
                );
            }
            self.socket.write_all(&self.bytes)
        } else {
            lines(&self.load, ticks, &mut self.bytes);
            self.socket.write_all(&chunk(&self.bytes))
        }
        .context("the server accepts no more ticks")
    }

    /// Waits until the server has accepted everything.
    fn finish(mut self) -> Result<(), BenchError> {
        if let Some(answers) = self.answers {
            let _ = self.all.set(self.sent);
            let taken = answers.join().unwrap_or_else(|_| Err(panicked()))?;
            if taken != self.sent {
                return Err(BenchError::Failed(format!(
                    "the server accepted {taken} of {} ticks",
                    self.sent
                )));
            }
            return Ok(());
        }
        // If the server has already refused the request, its answer can be read even if this write
        // fails.
        let _ = self.socket.write_all(b"0\r\n\r\n");
        let mut answer = String::new();
        self.socket
            .read_to_string(&mut answer)
            .context("the publisher got no answer")?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(refused(format_args!("{status:?}")));
        }
        let report: serde_json::Value = serde_json::from_str(body.trim()).unwrap_or_default();
        match report["accepted"].as_u64() {
            Some(accepted) if accepted != self.sent => {
                let sent = self.sent;
                Err(BenchError::Failed(format!(
                    "the server accepted {accepted} of {sent} ticks: {body}"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the error for a publisher thread that panicked.
pub(crate) fn panicked() -> BenchError {
    BenchError::Failed("the publisher thread panicked".to_owned())
}

fn refused(answer: impl Display) -> BenchError {
    BenchError::Failed(format!("the publish request was answered with {answer}"))
}

/// Appends ticks as NDJSON lines.
fn lines(load: &Load, ticks: Range<u64>, out: &mut Vec<u8>) {
    for tick in ticks {
        let symbol = load.symbol(tick);
        let _ = writeln!(out, "{{\"symbol\":\"{symbol}\",\"price\":{tick}}}");
    }
}

/// Returns a tick as tickcast would send it, for a server that forwards its input unchanged.
fn finished(load: &Load, tick: u64) -> String {
    let (symbol, n) = (load.symbol(tick), tick / load.symbols);
    let time = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_millis();
    format!(
        "{{\"symbol\":\"{symbol}\",\"price\":{tick},\"change\":{tick},\"change_pct\":12.3456,\"time\":{time},\"n\":{n}}}"
    )
}

fn chunk(body: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", body.len()).into_bytes();
    chunk.extend_from_slice(body);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Counts the answers until the number in `until` is reached. An answer without a 2xx status is an
/// error.
fn count_answers(mut socket: TcpStream, until: &OnceLock<u64>) -> Result<u64, BenchError> {
    const STATUS: &[u8] = b"HTTP/1.1 ";
    let (mut taken, mut seen, mut bytes) = (0, Vec::new(), [0; 16 << 10]);
    socket.set_read_timeout(Some(ANSWERS))?;
    while until.get().is_none_or(|until| taken < *until) {
        let length = match socket.read(&mut bytes) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock && until.get().is_none() => {
                continue;
            }
            Err(error) => return Err(error).context("the publisher got no answer"),
        };
        if length == 0 {
            break;
        }
        seen.extend_from_slice(&bytes[..length]);
        let mut done = 0;
        while let Some(at) =
            memchr::memmem::find(&seen[done..], STATUS).map(|at| done + at + STATUS.len())
        {
            match seen.get(at..at + 3) {
                Some([b'2', ..]) => taken += 1,
                Some(status) => {
                    return Err(refused(String::from_utf8_lossy(status)));
                }
                None => break,
            }
            done = at;
        }
        // The next status line may already have begun.
        seen.drain(..done.max(seen.len().saturating_sub(STATUS.len() + 3)));
    }
    Ok(taken)
}
