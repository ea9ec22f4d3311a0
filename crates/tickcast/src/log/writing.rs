//! The thread that writes the log to the disk, and then lets readers see it.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, mem};

use tickcast_core::{Digest, Mark, TickError};

use super::journal::Journal;
use super::order::{LogState, Order};
use super::write::Write;
use crate::disk::{AppendError, Batch, Writer};

/// Time between two requests for room on a full disk.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Time until the next request for room after a refused write. The room that the disk promises then
/// may be none.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);

/// A write that the thread has begun.
struct Begun {
    write: Arc<Write>,
    /// What is visible after the write.
    until: Mark,
    digest: Digest,
}

/// Starts the thread. It ends after the tape is [closed](Order::close), with everything written.
pub(super) fn start(order: Arc<Order>, writer: Writer) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("tape-write".to_owned());
    thread.spawn(move || run(&order, writer))
}

fn run(order: &Order, mut writer: Writer) {
    // A publisher must not wait for a thread that has ended, for whatever reason.
    let _closed = Closing(order);
    let mut batch = Batch::default();
    while order.wait_for_work() {
        let room = writer.make_room();
        if let Some(begun) = order.begin_write(room, &mut batch) {
            let written = writer.commit(&mut batch, begun.digest);
            order.complete(&begun, written);
        }
    }
}

struct Closing<'o>(&'o Order);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let journal = mem::replace(&mut state.journal, Journal::Closed);
        state.sequencer.take_back();
        drop(state);
        if let Journal::Disk(staged) = journal {
            let closed = TickError::Storage("the tape is closed".to_owned());
            let writes = staged.begun.into_iter().chain([staged.write]);
            writes.for_each(|write| write.finish(Err(closed.clone())));
        }
    }
}

impl Order {
    /// Ends the thread after its last write. Nothing is accepted after that.
    pub(super) fn close(&self) {
        if let Journal::Disk(staged) = &mut self.lock().journal {
            staged.closing = true;
        }
        self.staged.notify_one();
    }

    /// Waits until there is something to write, or until a full disk may have room. Returns `false`
    /// if the tape is to be closed.
    fn wait_for_work(&self) -> bool {
        let mut state = self.lock();
        loop {
            let Journal::Disk(staged) = &mut state.journal else {
                return false;
            };
            if !staged.batch.is_empty() {
                return true;
            }
            if staged.closing {
                return false;
            }
            staged.writer_waits = true;
            if staged.has_room() {
                let woken = self.staged.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            } else {
                let interval = match staged.refused {
                    true => REFUSED_INTERVAL,
                    false => RETRY_INTERVAL,
                };
                let waiting = |state: &mut LogState| !state.is_closing();
                let timeout = self.staged.wait_timeout_while(state, interval, waiting);
                drop(timeout);
                return true;
            }
        }
    }

    /// Takes what there is to write.
    fn begin_write(&self, room: Result<(), AppendError>, batch: &mut Batch) -> Option<Begun> {
        let mut state = self.lock();
        let (until, (_, digest)) = (state.sequencer.mark(), state.sequencer.newest_position());
        let Journal::Disk(staged) = &mut state.journal else {
            return None;
        };
        staged.writer_waits = false;
        staged.refused = false;
        staged.set_room(room);
        if staged.batch.is_empty() {
            return None;
        }
        mem::swap(&mut staged.batch, batch);
        let write = mem::take(&mut staged.write);
        staged.begun = Some(Arc::clone(&write));
        Some(Begun {
            write,
            until,
            digest,
        })
    }

    /// Lets readers see what was written. If the write has failed, takes back everything that they
    /// have not seen: also the later entries, which follow those that were not written.
    fn complete(&self, begun: &Begun, written: Result<(), AppendError>) {
        let mut state = self.lock();
        let Err(error) = written else {
            let before = self.tape.visible();
            state.sequencer.show_until(begun.until);
            if state.journal.has_nothing_staged() {
                // What came after it, if anything, is not for the disk.
                state.sequencer.show();
            }
            let head = self.tape.visible();
            drop(state);
            begun.write.finish(Ok(()));
            return self.ring(before, head);
        };
        let failed = Err(TickError::Storage(error.to_string()));
        state.sequencer.take_back();
        let head = state.sequencer.cursor().seq();
        if let Some(sources) = &mut state.sources {
            sources.forget_after(head);
        }
        let mut later = None;
        if let Journal::Disk(staged) = &mut state.journal {
            staged.take_back();
            staged.refused = true;
            staged.set_room(Err(error));
            later = Some(mem::take(&mut staged.write));
        }
        drop(state);
        begun.write.finish(failed.clone());
        later
            .into_iter()
            .for_each(|write| write.finish(failed.clone()));
    }
}
