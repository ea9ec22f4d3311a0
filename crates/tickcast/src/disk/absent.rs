//! Replaces the crate `tickcast-tape` if the feature `tape` is off. No function here is ever
//! called.

#![allow(dead_code, reason = "without a tape, nothing is made or called")]

use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tickcast_core::{
    Check, Digest, KeyProgress, Position, Recorded, Seq, Sequencer, SymbolSnapshot, Time,
};

/// The tape on disk, which does not exist.
#[derive(Debug, Clone)]
pub(crate) struct DiskTape(Infallible);

impl DiskTape {
    pub(crate) fn start(&self) -> Seq {
        match self.0 {}
    }

    pub(crate) fn head(&self) -> Seq {
        match self.0 {}
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self.0 {}
    }

    pub(crate) fn damaged_segments(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn check_writable(&self) -> Result<(), AppendError> {
        match self.0 {}
    }

    pub(crate) async fn wait_durable(&self, _: Seq) -> Result<(), AppendError> {
        match self.0 {}
    }

    pub(crate) fn trim(&self) {
        match self.0 {}
    }

    pub(crate) fn check_at(&self, _: Seq) -> Result<Check, ReadError> {
        match self.0 {}
    }

    pub(crate) fn beginning(&self) -> Option<(Seq, Digest)> {
        match self.0 {}
    }

    pub(crate) fn read_stamped(
        &self,
        _: Seq,
        _: impl FnMut(Position, Recorded<'_>, Option<Time>) -> ControlFlow<()>,
    ) -> Result<Seq, ReadError> {
        match self.0 {}
    }

    pub(crate) fn read(
        &self,
        _: Seq,
        _: impl FnMut(Position, Recorded<'_>) -> ControlFlow<()>,
    ) -> Result<Seq, ReadError> {
        match self.0 {}
    }

    pub(crate) fn skip(&self, _: Seq, _: (Time, Time)) -> Result<Skipped, ReadError> {
        match self.0 {}
    }
}

/// The tape that was opened, which does not exist.
pub(crate) struct Opened {
    pub(crate) sequencer: Sequencer,
    pub(crate) writer: Writer,
    pub(crate) tape: DiskTape,
}

/// The writer of the tape, which does not exist.
#[derive(Debug)]
pub(crate) struct Writer(Infallible);

impl Writer {
    pub(crate) fn make_room(&mut self) -> Result<(), AppendError> {
        match self.0 {}
    }

    pub(crate) fn commit(&mut self, _: &mut Batch, _: Digest) -> Result<(), AppendError> {
        match self.0 {}
    }
}

/// Entries that are written together, of which there are none.
#[derive(Debug, Default)]
pub(crate) struct Batch(());

impl Batch {
    pub(crate) fn begin(&mut self, _: (Seq, Digest), _: Time) {}

    pub(crate) fn push(&mut self, _: &Recorded<'_>) {}

    pub(crate) fn push_key(&mut self, _: &KeyProgress<'_>) {}

    pub(crate) fn clear(&mut self) {}

    pub(crate) const fn is_full(&self) -> bool {
        false
    }

    pub(crate) const fn is_half_full(&self) -> bool {
        false
    }

    pub(crate) const fn is_empty(&self) -> bool {
        true
    }
}

/// The reason why a write failed, which does not exist.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error(transparent)]
    Full(Infallible),
}

/// The reason why the tape in memory cannot be read from a position.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The tape no longer holds the entries after the position.
    #[error("the tape begins after the requested position")]
    Expired,
}

/// The result of [`DiskTape::skip`], which does not exist.
#[derive(Debug)]
pub(crate) enum Skipped {
    To(Seq),
    SoFar(Seq),
}

/// The snapshot of a delayed market, which does not exist.
pub(crate) struct DelayedSnapshot {
    pub(crate) base: Seq,
    pub(crate) digest: Digest,
    pub(crate) symbols: Vec<SymbolSnapshot>,
}

pub(crate) fn write_delayed_snapshot(
    tape: &DiskTape,
    _: Duration,
    _: (Seq, Digest),
    _: impl Iterator<Item = SymbolSnapshot>,
) -> io::Result<()> {
    match tape.0 {}
}

pub(crate) fn read_delayed_snapshot(tape: &DiskTape, _: Duration) -> Option<DelayedSnapshot> {
    match tape.0 {}
}

pub(crate) fn write_snapshot(
    tape: &DiskTape,
    _: (Seq, Digest),
    _: impl Iterator<Item = SymbolSnapshot>,
    _: &[Box<[u8]>],
) -> io::Result<()> {
    match tape.0 {}
}

/// Returns nothing, because nothing is written.
pub(crate) fn encode_key(_: (KeyProgress<'_>, Time)) -> Box<[u8]> {
    Box::default()
}
