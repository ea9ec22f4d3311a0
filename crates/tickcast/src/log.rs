//! The log: the single order of all ticks, shared by publishers and lanes.

#![cfg_attr(
    not(feature = "tape"),
    allow(
        dead_code,
        unused_imports,
        reason = "some parts serve only the tape on disk"
    )
)]

mod checkpointer;
mod journal;
mod source_history;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tickcast_core::{
    Followed, Frame, KeyProgress, Names, Now, Outcome, Replica, Run, Seq, Sequenced, Sequencer,
    SourceId, SourceOptions, Symbol, SymbolId, Tape, Tick, TickError,
};

use crate::disk::{DiskTape, Opened};
use crate::doorbell::Doorbell;
pub(crate) use checkpointer::run_checkpointer;
use journal::Journal;
use source_history::SourceHistory;

/// Number of symbols that are copied under one lock. With all their candles, the copy takes one or
/// two milliseconds.
const SYMBOLS_PER_LOCK: usize = 16;

/// Number of symbols whose newest tick is copied under one lock. The copy takes some microseconds.
const TICKS_PER_LOCK: usize = 1024;

/// Maximum number of ticks between two writes to the disk.
const ENTRIES_PER_WRITE: usize = 512;

/// The sequencer, the tape on disk if there is one, and the doorbells of the lanes to wake when the
/// log advances.
pub(crate) struct Log {
    state: Mutex<LogState>,
    /// The tape in memory, to read what readers may see without a lock. Its own head stays where it
    /// is.
    shared: Tape,
    names: Arc<Names>,
    wakers: OnceLock<Vec<Arc<Doorbell>>>,
    tape: Option<DiskTape>,
    /// The tape on disk for reading only: that of the live market, for a delayed one.
    archive: Option<DiskTape>,
    /// The lock that is held while a snapshot of the market is written.
    checkpoints: Mutex<()>,
}

/// The state that is locked while sequence numbers are assigned.
struct LogState {
    sequencer: Sequencer,
    journal: Journal,
    /// The sources that symbols had before, if a delayed market needs them.
    sources: Option<SourceHistory>,
}

impl Log {
    /// Creates a log in memory.
    pub(crate) fn new(sequencer: Sequencer) -> Self {
        Self::of(
            LogState {
                sequencer,
                journal: Journal::Memory,
                sources: None,
            },
            None,
        )
    }

    /// Creates a log that continues from the end of its tape on disk.
    pub(crate) fn on_disk(opened: Opened) -> Self {
        let Opened {
            sequencer,
            writer,
            tape,
            ..
        } = opened;
        Self::of(
            LogState {
                sequencer,
                journal: Journal::on_disk(writer),
                sources: None,
            },
            Some(tape),
        )
    }

    /// Creates a log in memory that follows another one. Older entries are in `archive`.
    pub(crate) fn following(sequencer: Sequencer, archive: Option<DiskTape>) -> Self {
        Self {
            archive,
            ..Self::new(sequencer)
        }
    }

    fn of(state: LogState, tape: Option<DiskTape>) -> Self {
        Self {
            shared: state.sequencer.tape().clone(),
            names: state.sequencer.names(),
            state: Mutex::new(state),
            wakers: OnceLock::new(),
            archive: tape.clone(),
            tape,
            checkpoints: Mutex::new(()),
        }
    }

    /// Sets the doorbells of the lanes to wake. Only the first call has an effect.
    pub(crate) fn set_wakers(&self, doorbells: Vec<Arc<Doorbell>>) {
        let _ = self.wakers.set(doorbells);
    }

    /// Returns the newest sequence number without a lock.
    pub(crate) fn head(&self) -> Seq {
        self.shared.visible()
    }

    /// Returns the position before the oldest entry in memory, without a lock.
    pub(crate) fn start(&self) -> Seq {
        self.shared.start()
    }

    /// Returns the first entries after `from` that readers may see, without a lock. `None` if there
    /// are none, or if they are no longer in memory.
    pub(crate) fn run(&self, from: Seq) -> Option<Run> {
        self.shared.visible_run(from)
    }

    /// Returns the names of all symbols, to read them without a lock.
    pub(crate) const fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Returns the tape on disk.
    pub(crate) const fn tape(&self) -> Option<&DiskTape> {
        self.tape.as_ref()
    }

    /// Returns the tape on disk that has the older entries of this log. It may have newer ones, too.
    pub(crate) const fn archive(&self) -> Option<&DiskTape> {
        self.archive.as_ref()
    }

    /// Applies entries of the log that this log follows. `apply` passes them on, under the lock.
    pub(crate) fn follow(&self, apply: impl FnOnce(&mut dyn FnMut(Followed<'_>) -> Sequenced)) {
        let mut state = self.lock();
        let sequencer = &mut state.sequencer;
        apply(&mut |followed| sequencer.follow(followed));
        self.notify(state);
    }

    /// Remembers from now on which sources symbols had before.
    pub(crate) fn remember_sources(&self) {
        self.lock().sources.get_or_insert_default();
    }

    /// Returns the sources of these entries of the current run.
    pub(crate) fn sources_at(&self, entries: impl Iterator<Item = (Seq, Symbol)>) -> Vec<SourceId> {
        let state = self.lock();
        let (market, sources) = (state.sequencer.market(), state.sources.as_ref());
        let source = |(seq, symbol)| {
            let id = market.id(&symbol)?;
            let before = sources.and_then(|sources| sources.source_at(id, seq));
            Some(before.unwrap_or_else(|| market.source(id)))
        };
        entries
            .map(|entry| source(entry).unwrap_or(SourceId::UNKNOWN))
            .collect()
    }

    /// Reads the market, the tape and the candles under the lock. Publishers wait meanwhile, so
    /// `view` must be fast.
    pub(crate) fn read<T>(&self, view: impl FnOnce(&Sequencer) -> T) -> T {
        view(&self.lock().sequencer)
    }

    /// Copies something of each symbol, in order of their numbers. Publishers wait for a few symbols
    /// at a time only, so the market may move on in between.
    pub(crate) fn each_symbol<T>(
        &self,
        copy: impl Fn(&Sequencer, SymbolId) -> Option<T>,
    ) -> impl Iterator<Item = T> {
        let symbols = self.read(|log| log.market().len());
        let chunks = (0..symbols).step_by(SYMBOLS_PER_LOCK);
        chunks.flat_map(move |from| {
            self.read(|log| {
                let ids = log.market().ids_from(from).take(SYMBOLS_PER_LOCK);
                ids.filter_map(|id| copy(log, id)).collect::<Vec<_>>()
            })
        })
    }

    /// Appends frames that were encoded outside the core, each as the newest tick of its symbol.
    /// The frames are in memory only: a log with a tape on disk cannot restore them. The iterator
    /// runs under the lock. Returns the number of frames that were dropped because there are too
    /// many symbols.
    pub(crate) fn append_frames(
        &self,
        frames: impl IntoIterator<Item = (Symbol, Frame)>,
        now: Now,
    ) -> usize {
        let mut state = self.lock();
        let mut dropped = 0;
        for (symbol, frame) in frames {
            dropped += usize::from(state.sequencer.accept_frame(symbol, frame, now).is_err());
        }
        self.notify(state);
        dropped
    }

    /// Publishes ticks in order, with no ticks of other publishers between them, and reports each
    /// outcome to `each`. If the disk has no room for a tick, this tick and all later ticks are
    /// rejected. Returns the symbols that belonged to other sources before, with those sources.
    ///
    /// After the last tick, `note` returns the progress of the request that the ticks belong to.
    pub(crate) fn publish<'t, 'n>(
        &self,
        ticks: impl IntoIterator<Item = &'t Tick>,
        (source, options, now): (SourceId, SourceOptions, Now),
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
        note: impl FnOnce() -> Option<KeyProgress<'n>>,
    ) -> Vec<(Symbol, SourceId)> {
        let mut taken_over = Vec::new();
        let mut state = self.lock();
        let LogState {
            sequencer,
            journal,
            sources,
        } = &mut *state;
        let mut ticks = ticks.into_iter().enumerate().peekable();
        let mut room = Ok(());
        let mut note = Some(note);
        loop {
            room = room.and_then(|()| journal.make_room(ENTRIES_PER_WRITE));
            for (i, tick) in ticks.by_ref().take(ENTRIES_PER_WRITE) {
                let result = room
                    .clone()
                    .and_then(|()| sequencer.accept(tick, source, options, now));
                if let Ok(Sequenced {
                    outcome: Outcome::Accepted(seq),
                    symbol,
                    previous_source,
                    ..
                }) = result
                {
                    journal.stage(sequencer, symbol);
                    if let Some(before) = previous_source {
                        taken_over.push((tick.symbol, before));
                        if let Some(sources) = sources {
                            sources.note(symbol, seq, before);
                        }
                    }
                }
                each(i, result.map(|sequenced| sequenced.outcome));
            }
            let last = ticks.peek().is_none();
            if last && let Some(note) = note.take().and_then(|note| note()) {
                sequencer.record_key(note, now.wall);
                journal.stage_key(&note);
            }
            journal.write(sequencer.tape(), now.wall);
            if last {
                break;
            }
        }
        self.notify(state);
        taken_over
    }

    /// Removes a symbol. Returns whether the symbol existed.
    ///
    /// # Errors
    /// If the disk has no room to record the removal.
    pub(crate) fn remove(&self, symbol: &Symbol, now: Now) -> Result<bool, TickError> {
        let mut state = self.lock();
        let LogState {
            sequencer, journal, ..
        } = &mut *state;
        journal.make_room(ENTRIES_PER_WRITE)?;
        let removed = sequencer.remove(symbol, now);
        if let Some(removed) = removed {
            journal.stage(sequencer, removed.symbol);
            journal.write(sequencer.tape(), now.wall);
        }
        self.notify(state);
        Ok(removed.is_some())
    }

    /// Checks whether ticks can be published now.
    ///
    /// # Errors
    /// If the disk is full, or if the tape can no longer be written.
    pub(crate) fn can_publish(&self) -> Result<(), TickError> {
        // This checks room for a full write, as a publisher needs. Fewer entries may still fit when
        // publishing is no longer possible.
        self.lock().journal.make_room(ENTRIES_PER_WRITE)
    }

    /// Closes the tape on disk. Nothing is accepted after that.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if matches!(state.journal, Journal::Disk(_)) {
            let journal = std::mem::replace(&mut state.journal, Journal::Closed);
            drop(state);
            // The drop waits for the disk.
            drop(journal);
        }
    }

    /// Returns a replica for a lane.
    pub(crate) fn replica(&self) -> Replica {
        self.read(Sequencer::replica)
    }

    /// Applies at most `max` entries of the log to `replica`, without a lock. If the next entries are
    /// no longer in memory, `replica` becomes a copy of the newest market.
    pub(crate) fn advance(&self, replica: &mut Replica, max: u64) {
        let (mut max, mut piece) = (max, TICKS_PER_LOCK);
        while replica.catch_up(max).is_err() {
            let mut copy = |from| self.read(|log| log.copy_market(replica, from, piece));
            let mut next = copy(0);
            if next.is_none() {
                // The whole copy is as of one position.
                return;
            }
            while let Some(from) = next {
                next = copy(from);
            }
            // The pieces are as of different positions until all entries are applied. If the
            // publishers were faster than the copy, the next one is made in larger pieces.
            (max, piece) = (u64::MAX, piece * 2);
        }
    }

    /// Wakes the lanes that listen. New entries have already been passed to the disk at this point.
    fn notify(&self, state: MutexGuard<'_, LogState>) {
        let advanced = state.sequencer.show();
        drop(state);
        if advanced {
            self.wakers
                .get()
                .into_iter()
                .flatten()
                .for_each(|doorbell| doorbell.log_advanced());
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        // A panic of a lock holder leaves a valid sequencer: each of its steps is either complete
        // or not started.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
