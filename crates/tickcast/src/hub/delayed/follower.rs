//! Moves one delayed market: a cursor on the tape of the live market, behind the clock.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{
    Entry, Followed, Frame, Now, Price, Recorded, Restore, Seq, Sequenced, SourceId, Symbol, Time,
};

use super::marks::Marks;
use super::states::StateChanges;
use crate::disk::{DiskTape, ReadError};
use crate::hub::{Hub, HubBuilder};
use crate::log::Log;

/// Maximum number of entries that are taken under one lock, of the live market or of the delayed
/// one.
const ENTRIES_PER_LOCK: usize = 1024;

/// Maximum number of such turns in one step, so that each delayed market has its turn.
const TURNS: usize = 64;

/// Number of symbols that are copied under one lock of the live market.
const SYMBOLS_PER_LOCK: usize = 16;

/// Moves one delayed market.
pub(super) struct Follower {
    delay: Duration,
    /// The head of the live market at its start. The entries up to it come from an earlier run, and
    /// are old enough by the wall clock, when they were accepted.
    known: Seq,
    marks: Marks,
    states: StateChanges,
    market: Option<Hub>,
    /// Whether the market has reached its delay once.
    caught_up: bool,
}

/// What one turn has done.
enum Turn {
    /// There may be more to do.
    More,
    /// Everything that is old enough is there.
    Done,
    /// The tape no longer holds the next entry.
    Lost,
}

/// What is old enough.
#[derive(Clone, Copy)]
struct Release {
    /// The position up to which everything is old enough, and the wall clock when the live market
    /// had reached it.
    until: Seq,
    wall: Time,
    /// Up to `known`, everything that was accepted at this time, or before, is old enough.
    known: Seq,
    accepted_by: Time,
}

impl Follower {
    pub(super) fn new(delay: Duration, known: Seq) -> Self {
        Self {
            delay,
            known,
            marks: Marks::new(delay),
            states: StateChanges::default(),
            market: None,
            caught_up: false,
        }
    }

    pub(super) const fn delay(&self) -> Duration {
        self.delay
    }

    /// Returns the market, once it has data and has reached its delay.
    pub(super) fn market(&self) -> Option<Hub> {
        let ready = |market: &&Hub| self.caught_up && market.head().1 > Seq::ZERO;
        self.market.as_ref().filter(ready).cloned()
    }

    /// Takes over everything of `live` that is old enough. `live` had reached `head` before `now`.
    /// `passed` is the wall clock, or less if it has jumped forward.
    pub(super) fn step(&mut self, live: &Hub, (head, now): (Seq, Now), passed: Time) {
        self.marks.note(head, now);
        self.states.note(live);
        let old = now.uptime.checked_sub(self.delay);
        let (until, wall) = self.marks.reached_at(old).unwrap_or_default();
        let release = Release {
            until,
            wall,
            known: self.known,
            accepted_by: passed.saturating_sub(self.delay),
        };
        // The sources of everything that is old enough are known by now.
        if let Some(market) = &self.market {
            mirror_sources(live, market);
        }
        for _ in 0..TURNS {
            match self.turn(live, release) {
                Turn::More => {}
                Turn::Done => {
                    self.caught_up = self.market.is_some();
                    break;
                }
                Turn::Lost => {
                    tracing::warn!(
                        delay = self.delay.as_secs(),
                        "the tape does not reach back as far as the delay: the delayed market starts anew"
                    );
                    (self.market, self.caught_up) = (None, false);
                    break;
                }
            }
        }
        if let Some(market) = &self.market {
            self.states.apply(market, old);
        }
    }

    fn turn(&mut self, live: &Hub, release: Release) -> Turn {
        let Some(market) = &self.market else {
            self.market = begin(live, self.delay, release);
            return match &self.market {
                Some(market) => {
                    mirror_sources(live, market);
                    self.states.repeat(market);
                    Turn::More
                }
                None => Turn::Done,
            };
        };
        let from = market.head().1;
        let disk = live.log().archive();
        if from < release.known
            && let Some(tape) = disk
        {
            return follow_disk(live, market, tape, release);
        }
        if from >= release.until {
            return Turn::Done;
        }
        match (follow_memory(live, market, release), disk) {
            (Turn::Lost, Some(tape)) => follow_disk(live, market, tape, release),
            (turn, _) => turn,
        }
    }
}

impl Release {
    /// Checks whether an entry is old enough. `accepted` is when it was accepted, as far as the
    /// tape knows.
    fn admits(&self, seq: Seq, accepted: Option<Time>) -> bool {
        let by_stamp = seq <= self.known && accepted.is_some_and(|at| at <= self.accepted_by);
        seq <= self.until || by_stamp
    }
}

/// Makes a market as of the beginning of the live tape, if that is old enough.
fn begin(live: &Hub, delay: Duration, release: Release) -> Option<Hub> {
    let in_memory = || {
        live.log().read(|log| {
            let start = log.tape().start();
            Some((start, log.tape().digest_at(start)?))
        })
    };
    let disk = live.log().archive();
    let (start, digest) = disk.and_then(DiskTape::beginning).or_else(in_memory)?;
    let first = disk.and_then(|tape| first_accepted(tape, start));
    if start > release.until && !first.is_some_and(|first| release.admits(start, Some(first))) {
        return None;
    }
    let settings = live.0.settings.delayed_by(delay);
    let mut restore = Restore::new(live.0.epoch, settings.limits, (start, digest));
    seed(live, start, &mut restore);
    let log = Log::following(restore.done(), disk.cloned());
    let market = Hub::delayed(live, Arc::new(log), settings);
    Some(market)
}

/// Tells a delayed market about the sources of the live one.
fn mirror_sources(live: &Hub, market: &Hub) {
    let sources = market.source_list();
    sources.mirror(live.source_list(), market.now().wall);
}

/// Returns when the first entry after `start` was accepted. Everything before is older.
fn first_accepted(tape: &DiskTape, start: Seq) -> Option<Time> {
    let mut first = None;
    let read = tape.read_stamped(start, |_, _, accepted| {
        first = accepted;
        ControlFlow::Break(())
    });
    read.ok().and(first)
}

/// Restores the symbols that have not changed since `start`: their newest ticks are the same as
/// then.
fn seed(live: &Hub, start: Seq, restore: &mut Restore) {
    let symbols = live.log().read(|log| log.market().len());
    for from in (0..symbols).step_by(SYMBOLS_PER_LOCK) {
        let unchanged: Vec<_> = live.log().read(|log| {
            let market = log.market();
            let ids = market.ids_from(from).take(SYMBOLS_PER_LOCK);
            let ids = ids.filter(|id| market.last_position(*id).seq <= start);
            let ids = ids.filter(|id| market.newest(*id).is_some());
            ids.filter_map(|id| Some((log.symbol_snapshot(id)?, market.source(id))))
                .collect()
        });
        for (snapshot, source) in unchanged {
            restore.symbol_of(snapshot, source);
        }
    }
}

/// Takes over entries from the memory of the live market.
fn follow_memory(live: &Hub, market: &Hub, release: Release) -> Turn {
    let from = market.head().1;
    let entries = live.log().read(|log| {
        let tape = log.tape();
        let found = tape.after(from).take(ENTRIES_PER_LOCK);
        let found = found.take_while(|(seq, _)| *seq <= release.until);
        let own = |(_, entry): (Seq, &Entry)| {
            let market = log.market();
            (entry.clone(), market.symbol(entry.symbol))
        };
        tape.reaches_back_to(from)
            .then(|| found.map(own).collect::<Vec<_>>())
    });
    let Some(entries) = entries else {
        return Turn::Lost;
    };
    let now = Now {
        uptime: market.now().uptime,
        wall: release.wall,
    };
    let mut active = Active::default();
    market.log().follow(|follow| {
        for (entry, symbol) in &entries {
            let frame = entry.kind.frame();
            let sequenced = follow(Followed {
                recorded: Recorded {
                    symbol: *symbol,
                    prev_close: entry.kind.prev_close(),
                    json: frame.map(Frame::json),
                },
                frame,
                source: entry.source,
                now,
            });
            active.note(entry.source, *symbol, sequenced);
        }
    });
    active.report(market);
    match entries.len() {
        ENTRIES_PER_LOCK => Turn::More,
        _ => Turn::Done,
    }
}

/// Takes over entries from the disk of the live market.
fn follow_disk(live: &Hub, market: &Hub, tape: &DiskTape, release: Release) -> Turn {
    let from = market.head().1;
    let (mut entries, mut waits) = (Vec::new(), false);
    let read = tape.read_stamped(from, |at, recorded, accepted| {
        waits = !release.admits(at.seq, accepted);
        if waits || entries.len() == ENTRIES_PER_LOCK {
            return ControlFlow::Break(());
        }
        entries.push(OnDisk {
            seq: at.seq,
            symbol: recorded.symbol,
            prev_close: recorded.prev_close,
            json: recorded.json.map(<[u8]>::to_vec),
            accepted: accepted.unwrap_or(release.wall),
        });
        ControlFlow::Continue(())
    });
    if let Err(error) = read {
        if matches!(error, ReadError::Expired) {
            return Turn::Lost;
        }
        tracing::error!(%error, "the tape cannot be read: the delayed market waits");
        return Turn::Done;
    }
    let known = entries.iter().map(|entry| (entry.seq, entry.symbol));
    let mut sources = live.log().sources_at(known);
    for (source, entry) in sources.iter_mut().zip(&entries) {
        if entry.seq <= release.known {
            // An earlier run knew the source. This one cannot say whether the price is alive.
            *source = SourceId::UNKNOWN;
        }
    }
    let uptime = market.now().uptime;
    let mut active = Active::default();
    market.log().follow(|follow| {
        for (entry, source) in entries.iter().zip(&sources) {
            let sequenced = follow(Followed {
                recorded: Recorded {
                    symbol: entry.symbol,
                    prev_close: entry.prev_close,
                    json: entry.json.as_deref(),
                },
                frame: None,
                source: *source,
                now: Now {
                    uptime,
                    wall: entry.accepted,
                },
            });
            active.note(*source, entry.symbol, sequenced);
        }
    });
    active.report(market);
    match entries.is_empty() || waits {
        true => Turn::Done,
        false => Turn::More,
    }
}

/// An entry that was read from disk.
struct OnDisk {
    seq: Seq,
    symbol: Symbol,
    prev_close: Option<Price>,
    json: Option<Vec<u8>>,
    accepted: Time,
}

/// What the sources did in one turn: the number of ticks of each, and the symbols that each has
/// taken over from another.
#[derive(Default)]
struct Active {
    ticks: Vec<(SourceId, u64)>,
    taken_over: Vec<(SourceId, (Symbol, SourceId))>,
}

impl Active {
    fn note(&mut self, source: SourceId, symbol: Symbol, sequenced: Sequenced) {
        match self.ticks.iter_mut().find(|(known, _)| *known == source) {
            Some((_, ticks)) => *ticks += 1,
            None => self.ticks.push((source, 1)),
        }
        let before = sequenced.previous_source;
        let taken_over = before.map(|before| (source, (symbol, before)));
        self.taken_over.extend(taken_over);
    }

    /// Records this for the sources of a market.
    fn report(self, market: &Hub) {
        let (sources, now) = (market.source_list(), market.now());
        for (source, ticks) in self.ticks {
            sources.note_ticks(source, ticks, now);
        }
        for (source, symbol) in self.taken_over {
            sources.note_take_over(source, &[symbol], now.wall);
        }
    }
}

impl HubBuilder {
    /// Returns the settings of a market that is behind by `delay`. The limits on memory are shared
    /// between the live market and all delayed ones.
    fn delayed_by(&self, delay: Duration) -> Self {
        Self {
            delay,
            delays: Vec::new(),
            #[cfg(feature = "tape")]
            tape: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
