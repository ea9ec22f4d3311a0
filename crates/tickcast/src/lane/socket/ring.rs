//! Many sends in one system call, by io_uring. The only unsafe code there is.
//!
//! Why it is sound. The kernel reads a buffer from when its send is handed over until its completion is there. [`Ring::send`]
//! borrows the descriptors and buffers, hands the sends over, and does not return before it has seen a completion for each:
//! neither by an error (it goes on asking) nor by a panic (nothing between can). Should the kernel refuse to be asked at
//! all, which would take a broken ring, nobody could say what it still reads, and the program is ended. So no borrow
//! outlives its call, and no entry is ever left in the queue for the next one. In practice each send is complete when it has
//! been handed over, since none may wait for room.

#![expect(unsafe_code, reason = "the kernel is given pointers; see above")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::lane::round::ROUND;

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
        let ring = IoUring::new(ROUND as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(Self { ring, results: Vec::new() })
    }

    /// Sends each of these as far as there is room. Returns, in the same order, how many bytes went out, or an error's number
    /// below zero.
    pub(crate) fn send(&mut self, sends: &[Outgoing<'_>]) -> &[i32] {
        self.results.clear();
        self.results.resize(sends.len(), PENDING);
        let parts = sends.chunks(ROUND).zip(self.results.chunks_mut(ROUND));
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
    while left > 0 {
        if let Err(error) = ring.submit_and_wait(left)
            && !matches!(Errno::from_io_error(&error), Some(Errno::INTR | Errno::AGAIN | Errno::BUSY))
        {
            tracing::error!(%error, "io_uring is broken: what it still reads cannot be told");
            std::process::abort();
        }
        for completion in ring.completion() {
            left = left.saturating_sub(1);
            if let Some(result) = results.get_mut(completion.user_data() as usize) {
                *result = completion.result();
            }
        }
    }
}
