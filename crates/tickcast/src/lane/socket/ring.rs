//! Sends to many sockets with one system call, by io_uring. This is the only unsafe code of the
//! project.
//!
//! Why this code is sound: the kernel reads a buffer from the submission of its send until the
//! completion of the send. [`Ring::send`] borrows the descriptors and buffers, submits the sends,
//! and does not return before it has seen a completion for each send. After an error, it continues
//! to wait.
//!
//! Two cases would make it unknown which buffers the kernel still reads. Either the kernel refuses
//! every wait, which happens only with a broken ring, or the code panics while it waits. In both
//! cases the program is aborted ([`Unfinished`]). So no borrow outlives its call, and no entry is
//! left in the queue for the next call.
//!
//! In practice each send is complete when it has been submitted, because no send may wait for room.

#![expect(unsafe_code, reason = "the kernel is given pointers; see above")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::lane::sink::MAX_BATCH_WRITES;

/// The result of a send without a completion. No send returns this value.
const PENDING: i32 = i32::MIN;

/// Bytes for a socket.
pub(crate) struct Outgoing<'s> {
    pub(super) socket: BorrowedFd<'s>,
    pub(super) bytes: &'s [u8],
}

/// A queue of sends that is shared with the kernel.
pub(crate) struct Ring {
    ring: IoUring,
    results: Vec<i32>,
}

impl Ring {
    /// Creates a ring.
    ///
    /// # Errors
    /// If the kernel has no io_uring, forbids io_uring, or cannot send with it.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::new(MAX_BATCH_WRITES as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(ErrorKind::Unsupported.into());
        }
        let mut this = Self {
            ring,
            results: Vec::new(),
        };
        this.try_out()?;
        Ok(this)
    }

    /// Submits an empty operation. The kernel can forbid the use of a ring even if it allows the
    /// setup.
    fn try_out(&mut self) -> io::Result<()> {
        // SAFETY: the operation does nothing and refers to no memory.
        let pushed = unsafe { self.ring.submission().push(&opcode::Nop::new().build()) };
        pushed.map_err(|_| ErrorKind::OutOfMemory)?;
        self.ring.submit_and_wait(1)?;
        self.ring
            .completion()
            .next()
            .map(|_| ())
            .ok_or_else(|| ErrorKind::Unsupported.into())
    }

    /// Sends each of these as far as there is room. Returns the number of sent bytes of each send
    /// in the same order, or a negative error number.
    pub(crate) fn send(&mut self, sends: &[Outgoing<'_>]) -> &[i32] {
        self.results.clear();
        self.results.resize(sends.len(), PENDING);
        let parts = sends
            .chunks(MAX_BATCH_WRITES)
            .zip(self.results.chunks_mut(MAX_BATCH_WRITES));
        for (sends, results) in parts {
            send_part(&mut self.ring, sends, results);
        }
        &self.results
    }
}

/// Sends at most as many sends as the queue can hold.
fn send_part(ring: &mut IoUring, sends: &[Outgoing<'_>], results: &mut [i32]) {
    let flags = (SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
        .bits()
        .cast_signed();
    let mut queue = ring.submission();
    let mut outstanding = 0;
    for (number, Outgoing { socket, bytes }) in sends.iter().enumerate() {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
            .flags(flags)
            .build();
        // SAFETY: `bytes` and `socket` are borrowed until this function returns, and it returns
        // only after all completions. A push fails only if the queue is full. The queue was empty
        // and can hold at least `sends` entries.
        outstanding += usize::from(unsafe { queue.push(&send.user_data(number as u64)) }.is_ok());
    }
    drop(queue);
    let unfinished = Unfinished;
    while outstanding > 0 {
        if let Err(error) = ring.submit_and_wait(outstanding) {
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // The kernel lacks a resource. A retry at once would not help.
                Some(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => std::thread::sleep(RETRY_PAUSE),
                _ => {
                    return tracing::error!(%error, "io_uring failed with sends in flight; aborting, because buffers may still be in use");
                }
            }
        }
        for completion in ring.completion() {
            outstanding = outstanding.saturating_sub(1);
            if let Some(result) = results.get_mut(completion.user_data() as usize) {
                *result = completion.result();
            }
        }
    }
    std::mem::forget(unfinished);
}

/// Pause before a retry while the kernel lacks a resource.
const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_micros(100);

/// A guard for sends that may not be complete. To continue without their completions would not be
/// sound.
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

    /// Returns `None` if this kernel has no io_uring or forbids it.
    fn ring() -> Option<Ring> {
        Ring::new()
            .inspect_err(|error| println!("SKIPPED: no io_uring here: {error}"))
            .ok()
    }

    #[test]
    fn more_sends_than_the_queue_can_hold_reach_the_right_sockets() {
        let Some(mut ring) = ring() else { return };
        const EACH: usize = 40;
        let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
        let texts: Vec<_> = (0..50 * EACH).map(|i| format!("{i:08}")).collect();
        let sends: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| Outgoing {
                socket: pairs[i % 50].0.as_fd(),
                bytes: text.as_bytes(),
            })
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
    fn each_send_has_its_own_result() {
        let Some(mut ring) = ring() else { return };
        let (healthy, far) = pair();
        let (full, _kept) = pair();
        // Sent bytes move on to the peer and make room, as long as the peer has room.
        while ring.send(&[Outgoing {
            socket: full.as_fd(),
            bytes: &[0; 1 << 16],
        }])[0]
            > 0
        {}
        let (left, gone) = pair();
        drop(gone);
        // The reset of the peer arrives only after a send has reached the peer.
        while (&left).write(b"x").is_ok() {
            std::thread::yield_now();
        }
        let sends = [
            Outgoing {
                socket: full.as_fd(),
                bytes: b"no room",
            },
            Outgoing {
                socket: healthy.as_fd(),
                bytes: b"hello",
            },
            Outgoing {
                socket: left.as_fd(),
                bytes: b"nobody",
            },
        ];
        let mut hellos = 0;
        let refused = loop {
            hellos += 1;
            let results = ring.send(&sends).to_vec();
            assert_eq!(results[1], 5);
            assert!(
                [Errno::PIPE, Errno::CONNRESET]
                    .map(|error| -error.raw_os_error())
                    .contains(&results[2])
            );
            if results[0] < 0 {
                break results[0];
            }
        };
        assert_eq!(refused, -Errno::AGAIN.raw_os_error());
        let long = vec![b'x'; 64 << 20];
        let sent = ring.send(&[Outgoing {
            socket: healthy.as_fd(),
            bytes: &long,
        }])[0] as usize;
        assert!(
            (1..long.len()).contains(&sent),
            "as much as there was room for"
        );
        let mut bytes = vec![0; 5 * hellos + sent];
        (&far).read_exact(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"hello") && bytes[5 * hellos..].iter().all(|b| *b == b'x'));
    }
}
