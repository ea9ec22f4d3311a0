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
mod order;
mod source_history;
#[cfg(test)]
mod tests;
mod write;
mod writing;

use std::io;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tickcast_core::{
    Followed, Frame, KeyProgress, Names, Now, Outcome, Replica, Run, Seq, Sequenced, Sequencer,
    SourceId, SourceOptions, Symbol, SymbolId, Tick, TickError,
};

use crate::disk::{DiskTape, Opened};
use crate::doorbell::Doorbell;
use crate::interest::Interest;
pub(crate) use checkpointer::run_checkpointer;
use journal::{Journal, Staged};
use order::{LogState, Order};
pub(crate) use write::Write;

/// Number of symbols that are copied under one lock. With all their candles, the copy takes one or
/// two milliseconds.
const SYMBOLS_PER_LOCK: usize = 16;

/// Number of symbols whose newest tick is copied under one lock. The copy takes some microseconds.
const TICKS_PER_LOCK: usize = 1024;

/// The sequencer, the tape on disk if there is one, and the doorbells of the lanes to wake when the
/// log advances.
///
/// With a tape on disk, the log has two heads. Publishers move the first one: their entries are
/// sequenced. A thread writes the entries to the disk and then moves the second one: the entries are
/// visible. Everything that reads, reads as of the second head.
pub(crate) struct Log {
    order: Arc<Order>,
    /// The thread that writes to the disk.
    writing: Mutex<Option<JoinHandle<()>>>,
    names: Arc<Names>,
    tape: Option<DiskTape>,
    /// The tape on disk for reading only: that of the live market, for a delayed one.
    archive: Option<DiskTape>,
    /// The lock that is held while a snapshot of the market is written.
    checkpoints: Mutex<()>,
}

/// The progress of a publish request.
pub(crate) struct RequestProgress<'n> {
    pub(crate) key: KeyProgress<'n>,
    /// Whether ticks of the request were accepted. Otherwise, the disk does not keep the progress: a
    /// repeat after a restart publishes nothing twice.
    pub(crate) has_published: bool,
}

/// What [`Log::append`] did with ticks.
pub(crate) struct Appended {
    /// The symbols that belonged to other sources before, with those sources.
    pub(crate) taken_over: Vec<(Symbol, SourceId)>,
    /// The write after which the ticks are visible, `None` if they are visible already, or the reason
    /// why the disk takes none.
    pub(crate) write: Result<Option<Arc<Write>>, TickError>,
    /// Whether there are more ticks than the write can have. Append them when it is done.
    pub(crate) more: bool,
}

/// The reason why a symbol was not removed.
#[derive(Debug)]
pub(crate) enum Unremoved {
    /// The next write is full. The removal can be tried again after it.
    Wait(Arc<Write>),
    Failed(TickError),
}

impl Log {
    /// Creates a log in memory.
    pub(crate) fn new(sequencer: Sequencer) -> Self {
        Self::of(sequencer, Journal::Memory, None)
    }

    /// Creates a log that continues from the end of its tape on disk.
    ///
    /// # Errors
    /// If the thread that writes cannot be started.
    pub(crate) fn on_disk(opened: Opened) -> io::Result<Self> {
        let Opened {
            mut sequencer,
            mut writer,
            tape,
            ..
        } = opened;
        sequencer.run_ahead();
        let staged = Staged::new(tape.clone(), writer.make_room());
        let log = Self::of(sequencer, Journal::Disk(Box::new(staged)), Some(tape));
        let thread = writing::start(Arc::clone(&log.order), writer)?;
        *log.writing() = Some(thread);
        Ok(log)
    }

    /// Creates a log in memory that follows another one. Older entries are in `archive`.
    pub(crate) fn following(sequencer: Sequencer, archive: Option<DiskTape>) -> Self {
        let mut log = Self::new(sequencer);
        log.archive = archive;
        log
    }

    fn of(sequencer: Sequencer, journal: Journal, tape: Option<DiskTape>) -> Self {
        Self {
            names: sequencer.names(),
            order: Arc::new(Order::new(sequencer, journal)),
            writing: Mutex::default(),
            archive: tape.clone(),
            tape,
            checkpoints: Mutex::new(()),
        }
    }

    /// Sets the doorbells of the lanes to wake. Only the first call has an effect.
    pub(crate) fn set_wakers(&self, doorbells: Vec<Arc<Doorbell>>) {
        let _ = self.order.wakers.set(doorbells);
    }

    /// Returns what the lanes are interested in.
    pub(crate) fn interest(&self) -> &Arc<Interest> {
        &self.order.interest
    }

    /// Returns the newest sequence number without a lock.
    pub(crate) fn head(&self) -> Seq {
        self.order.tape.visible()
    }

    /// Returns the position before the oldest entry in memory, without a lock.
    pub(crate) fn start(&self) -> Seq {
        self.order.tape.start()
    }

    /// Returns the first entries after `from` that readers may see, without a lock. `None` if there
    /// are none, or if they are no longer in memory.
    pub(crate) fn run(&self, from: Seq) -> Option<Run> {
        self.order.tape.visible_run(from)
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
        let mut change = self.order.change();
        let sequencer = &mut change.state().sequencer;
        apply(&mut |followed| sequencer.follow(followed));
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
        let mut change = self.order.change();
        let sequencer = &mut change.state().sequencer;
        let results = frames
            .into_iter()
            .map(|(symbol, frame)| sequencer.accept_frame(symbol, frame, now));
        results.filter(Result::is_err).count()
    }

    /// Appends ticks in order, with no ticks of other publishers between them, and reports each
    /// outcome to `each`. An outcome counts only if the [`write`](Appended::write) succeeds. If the
    /// disk has no room, all ticks are rejected.
    ///
    /// After these ticks, `note` returns the progress of the request that the ticks belong to. The disk
    /// keeps it if the request has published something.
    pub(crate) fn append<'t, 'n>(
        &self,
        ticks: &mut Peekable<impl Iterator<Item = (usize, &'t Tick)>>,
        (source, options, now): (SourceId, SourceOptions, Now),
        mut each: impl FnMut(usize, Result<Outcome, TickError>),
        note: impl FnOnce() -> Option<RequestProgress<'n>>,
    ) -> Appended {
        let mut taken_over = Vec::new();
        let mut change = self.order.change();
        let LogState {
            sequencer,
            journal,
            sources,
        } = change.state();
        if let Err(error) = journal.check() {
            ticks.for_each(|(i, _)| each(i, Err(error.clone())));
            return Appended::rejected(error);
        }
        journal.begin(sequencer, now.wall);
        let waits = journal.is_half_full();
        let mut more = waits;
        while !more && let Some((i, tick)) = ticks.next() {
            let result = sequencer.accept(tick, source, options, now);
            if let Ok(Sequenced {
                outcome: Outcome::Accepted(seq),
                symbol,
                previous_source,
                ..
            }) = result
            {
                journal.stage(sequencer);
                if let Some(before) = previous_source {
                    taken_over.push((tick.symbol, before));
                    if let Some(sources) = sources {
                        sources.note(symbol, seq, before);
                    }
                }
            }
            each(i, result.map(|sequenced| sequenced.outcome));
            more = journal.is_full() && ticks.peek().is_some();
        }
        if !waits && let Some(note) = note() {
            sequencer.record_key(note.key, now.wall);
            if note.has_published {
                journal.stage_key(&note.key);
            } else if sequencer.shows_all_entries() {
                // Nothing has to be written before it.
                sequencer.show();
            }
        }
        Appended {
            taken_over,
            write: Ok(journal.pending()),
            more,
        }
    }

    /// Removes a symbol. Returns whether the symbol existed, and the write after which the removal
    /// is visible.
    ///
    /// # Errors
    /// If the disk has no room to record the removal, or the next write has no room for it.
    pub(crate) fn remove(
        &self,
        symbol: &Symbol,
        now: Now,
    ) -> Result<(bool, Option<Arc<Write>>), Unremoved> {
        let mut change = self.order.change();
        let LogState {
            sequencer, journal, ..
        } = change.state();
        journal.check().map_err(Unremoved::Failed)?;
        if let Some(write) = journal.pending().filter(|_| journal.is_half_full()) {
            return Err(Unremoved::Wait(write));
        }
        journal.begin(sequencer, now.wall);
        let removed = sequencer.remove(symbol, now).is_some();
        if removed {
            journal.stage(sequencer);
        }
        Ok((removed, journal.pending()))
    }

    /// Returns the write after which everything published so far is visible. It may be done. `None`
    /// if no write was needed.
    pub(crate) fn last_write(&self) -> Option<Arc<Write>> {
        self.lock().journal.last_write()
    }

    /// Checks whether ticks can be published now.
    ///
    /// # Errors
    /// If the disk is full, or if the tape can no longer be written.
    pub(crate) fn can_publish(&self) -> Result<(), TickError> {
        self.lock().journal.check()
    }

    /// Writes what is not written yet, and closes the tape on disk. Nothing is accepted after that.
    pub(crate) fn close(&self) {
        self.order.close();
        let thread = self.writing().take();
        // The thread may be the last one that uses the log. It ends by itself then.
        let other = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        if other.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the tape has panicked");
        }
    }

    fn writing(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
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
            if self.copy_market(replica, piece) {
                return;
            }
            // If the publishers were faster than the copy, the next one is made in larger pieces.
            (max, piece) = (u64::MAX, piece * 2);
        }
    }

    /// Returns a replica with the newest market. Publishers wait for a piece of the copy at a time.
    pub(crate) fn copy(&self) -> Replica {
        let (mut replica, mut piece) = (self.replica(), TICKS_PER_LOCK);
        while !self.copy_market(&mut replica, piece) && replica.catch_up(u64::MAX).is_err() {
            piece *= 2;
        }
        replica
    }

    /// Copies the newest market to `replica`, in pieces. Returns whether the whole copy is as of one
    /// position. Otherwise, the replica has to catch up before it is read.
    fn copy_market(&self, replica: &mut Replica, piece: usize) -> bool {
        let mut copy = |from| self.read(|log| log.copy_market(replica, from, piece));
        let mut next = copy(0);
        let at_once = next.is_none();
        while let Some(from) = next {
            next = copy(from);
        }
        at_once
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.order.lock()
    }
}

impl Appended {
    /// The result for ticks that are all rejected.
    const fn rejected(error: TickError) -> Self {
        Self {
            taken_over: Vec::new(),
            write: Err(error),
            more: false,
        }
    }
}

#[cfg(test)]
impl Log {
    /// Creates a log with a simulated disk. Readers see what the test shows.
    pub(crate) fn held(mut sequencer: Sequencer) -> Self {
        sequencer.run_ahead();
        Self::of(sequencer, Journal::Held, None)
    }

    /// Publishes a tick that nobody may see yet.
    pub(crate) fn sequence(&self, tick: &Tick, now: Now) {
        let context = (SourceId::default(), SourceOptions::default(), now);
        let mut tick = [tick].into_iter().enumerate().peekable();
        let each = |_, outcome: Result<Outcome, TickError>| {
            assert!(matches!(outcome, Ok(Outcome::Accepted(_))));
        };
        self.append(&mut tick, context, each, || None);
    }

    /// Shows what the simulated disk has.
    pub(crate) fn show_until(&self, mark: tickcast_core::Mark) {
        self.lock().sequencer.show_until(mark);
    }

    /// Takes back what the simulated disk does not have.
    pub(crate) fn take_back(&self) {
        self.lock().sequencer.take_back();
    }

    /// Publishes a tick, and waits until it is visible.
    pub(crate) fn publish_now(&self, tick: &Tick, now: Now) {
        let mut accepted = Seq::ZERO;
        let each = |_, outcome: Result<Outcome, TickError>| {
            if let Outcome::Accepted(seq) = outcome.unwrap() {
                accepted = seq;
            }
        };
        let context = (SourceId::default(), SourceOptions::default(), now);
        let mut tick = [tick].into_iter().enumerate().peekable();
        self.append(&mut tick, context, each, || None);
        while self.head() < accepted {
            std::thread::yield_now();
        }
    }

    /// Waits until everything published so far is visible.
    pub(crate) fn wait_visible(&self) {
        while self.lock().journal.pending().is_some() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}
