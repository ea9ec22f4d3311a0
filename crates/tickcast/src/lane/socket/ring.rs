//! Many sends in one system call, by io_uring. The only unsafe code there is.
//!
//! Why it is sound. The kernel reads a buffer from when its send is handed over until its completion is there. [`Ring::send`]
//! borrows the descriptors and buffers, hands the sends over, and does not return before it has seen a completion for each:
//! by an error it goes on asking. Should the kernel refuse to be asked at all, which would take a broken ring, or should
//! anything panic meanwhile, nobody could say what it still reads, and the program is ended ([`Unfinished`]). So no borrow
//! outlives its call, and no entry is ever left in the queue for the next one. In practice each send is complete when it has
//! been handed over, since none may wait for room.

#![expect(unsafe_code, reason = "the kernel is given pointers; see above")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::lane::sink::MAX_BATCH_WRITES;

/// What a completion holds before it has come: no send ends with it.
const PENDING: i32 = i32::MIN;

/// Bytes for a socket.
pub(crate) struct Outgoing<'s> {
    pub(super) socket: BorrowedFd<'s>,
    pub(super) bytes: &'s [u8],
}

/// A queue of sends, shared with the kernel.
pub(crate) struct Ring {
    ring: IoUring,
    results: Vec<i32>,
}

impl Ring {
    /// # Errors
    /// Where the kernel has no io_uring, forbids it, or cannot send by it.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::new(MAX_BATCH_WRITES as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(ErrorKind::Unsupported.into());
        }
        let mut this = Self { ring, results: Vec::new() };
        this.try_out()?;
        Ok(this)
    }

    /// To set it up and to use it can be forbidden each by itself.
    fn try_out(&mut self) -> io::Result<()> {
        // SAFETY: it does nothing, and refers to nothing.
        let pushed = unsafe { self.ring.submission().push(&opcode::Nop::new().build()) };
        pushed.map_err(|_| ErrorKind::OutOfMemory)?;
        self.ring.submit_and_wait(1)?;
        self.ring.completion().next().map(|_| ()).ok_or_else(|| ErrorKind::Unsupported.into())
    }

    /// Sends each of these as far as there is room. Returns, in the same order, how many bytes went out, or an error's number
    /// below zero.
    pub(crate) fn send(&mut self, sends: &[Outgoing<'_>]) -> &[i32] {
        self.results.clear();
        self.results.resize(sends.len(), PENDING);
        let parts = sends.chunks(MAX_BATCH_WRITES).zip(self.results.chunks_mut(MAX_BATCH_WRITES));
        for (sends, results) in parts {
            send_part(&mut self.ring, sends, results);
        }
        &self.results
    }
}

/// Sends as many as the queue has room for.
fn send_part(ring: &mut IoUring, sends: &[Outgoing<'_>], results: &mut [i32]) {
    let flags = (SendFlags::DONTWAIT | SendFlags::NOSIGNAL).bits().cast_signed();
    let mut queue = ring.submission();
    let mut left = 0;
    for (number, Outgoing { socket, bytes }) in sends.iter().enumerate() {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length).flags(flags).build();
        // SAFETY: `bytes` and `socket` are borrowed until this function returns, which is when all completions are there.
        // A push fails only where the queue is full; it was empty, and is as long as `sends` at least.
        left += usize::from(unsafe { queue.push(&send.user_data(number as u64)) }.is_ok());
    }
    drop(queue);
    let unfinished = Unfinished;
    while left > 0 {
        if let Err(error) = ring.submit_and_wait(left) {
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // The kernel is short of something: it will not be quicker for being asked at once.
                Some(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => std::thread::sleep(SHORT_OF_SOMETHING),
                _ => return tracing::error!(%error, "io_uring is broken: what it still reads cannot be told"),
            }
        }
        for completion in ring.completion() {
            left = left.saturating_sub(1);
            if let Some(result) = results.get_mut(completion.user_data() as usize) {
                *result = completion.result();
            }
        }
    }
    std::mem::forget(unfinished);
}

/// How long the kernel is given to find what it is short of.
const SHORT_OF_SOMETHING: std::time::Duration = std::time::Duration::from_micros(100);

/// Sends of which it is not known that they are complete: to go on without them would not be sound.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = listener.accept().unwrap().0;
        near.set_nonblocking(true).unwrap();
        (near, far)
    }

    /// `None`: this kernel has no io_uring, or forbids it.
    fn ring() -> Option<Ring> {
        Ring::new().inspect_err(|error| println!("SKIPPED: no io_uring here: {error}")).ok()
    }

    #[test]
    fn more_sends_than_the_queue_holds_arrive_each_where_it_belongs() {
        let Some(mut ring) = ring() else { return };
        const EACH: usize = 40;
        let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
        let texts: Vec<_> = (0..50 * EACH).map(|i| format!("{i:08}")).collect();
        let sends: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| Outgoing { socket: pairs[i % 50].0.as_fd(), bytes: text.as_bytes() })
            .collect();
        assert!(sends.len() > 3 * MAX_BATCH_WRITES);
        assert_eq!(ring.send(&sends), vec![8; sends.len()]);
        for (number, (_, far)) in pairs.iter().enumerate() {
            let mut bytes = [0; 8 * EACH];
            (&*far).read_exact(&mut bytes).unwrap();
            let expected: String = (0..EACH).map(|i| texts[number + 50 * i].as_str()).collect();
            assert_eq!(bytes, expected.as_bytes());
        }
    }

    #[test]
    fn each_send_has_a_result_of_its_own() {
        let Some(mut ring) = ring() else { return };
        let (healthy, far) = pair();
        let (full, _kept) = pair();
        // What it takes moves on to its peer and makes room, as long as there is any.
        while ring.send(&[Outgoing { socket: full.as_fd(), bytes: &[0; 1 << 16] }])[0] > 0 {}
        let (left, gone) = pair();
        drop(gone);
        // Its reset is there once a send has met it.
        while (&left).write(b"x").is_ok() {
            std::thread::yield_now();
        }
        let sends = [
            Outgoing { socket: full.as_fd(), bytes: b"no room" },
            Outgoing { socket: healthy.as_fd(), bytes: b"hello" },
            Outgoing { socket: left.as_fd(), bytes: b"nobody" },
        ];
        let mut hellos = 0;
        let refused = loop {
            hellos += 1;
            let results = ring.send(&sends).to_vec();
            assert_eq!(results[1], 5);
            assert!([Errno::PIPE, Errno::CONNRESET].map(|error| -error.raw_os_error()).contains(&results[2]));
            if results[0] < 0 {
                break results[0];
            }
        };
        assert_eq!(refused, -Errno::AGAIN.raw_os_error());
        let long = vec![b'x'; 64 << 20];
        let sent = ring.send(&[Outgoing { socket: healthy.as_fd(), bytes: &long }])[0] as usize;
        assert!((1..long.len()).contains(&sent), "as much as there was room for");
        let mut bytes = vec![0; 5 * hellos + sent];
        (&far).read_exact(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"hello") && bytes[5 * hellos..].iter().all(|b| *b == b'x'));
    }
}
