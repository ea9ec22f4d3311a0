//! Moves one delayed market: a cursor on the tape of the live market, behind the clock.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{
    Entry, Followed, Frame, Now, Price, Recorded, Restore, Seq, Sequenced, SourceId, Symbol, Time,
};

use super::marks::{Mark, Marks};
use super::snapshots::Snapshots;
use super::states::StateChanges;
use crate::disk::{DiskTape, ReadError};
use crate::hub::{Hub, HubBuilder};
use crate::log::Log;

/// Maximum number of entries from the disk that a delayed market takes under one lock.
const ENTRIES_PER_LOCK: usize = 1024;

/// Maximum number of such turns in one step, so that each delayed market has its turn.
const TURNS: usize = 64;

/// Moves one delayed market.
pub(super) struct Follower {
    delay: Duration,
    /// The head of the live market at its start. The entries up to it come from an earlier run.
    known: Seq,
    /// The time of the clock of the marks at the start of the live market.
    started: Duration,
    marks: Marks,
    states: StateChanges,
    snapshots: Snapshots,
    /// Whether a market was made once.
    began: bool,
    market: Option<Hub>,
    /// Whether the market has reached its delay once.
    caught_up: bool,
    /// Whether the last read of the disk failed.
    failing: bool,
}

/// What one turn has done.
enum Turn {
    /// There may be more to do.
    More,
    /// Everything that is old enough is there.
    Done,
    /// The tape no longer holds the next entry.
    Lost,
    /// The disk has the next entry, but cannot be read.
    Unreadable(ReadError),
}

/// What is old enough.
#[derive(Clone, Copy)]
struct Release {
    /// The position up to which everything is old enough, and the wall clock when the live market
    /// had reached it.
    until: Seq,
    wall: Time,
    /// The last position of an earlier run.
    known: Seq,
}

impl Follower {
    /// Creates a follower of a live market that has `known` from an earlier run. `started` is the
    /// time of the clock of the marks at the start of the market, and `marks` are those of the
    /// earlier run.
    pub(super) fn new(
        delay: Duration,
        (known, started): (Seq, Duration),
        marks: impl IntoIterator<Item = Mark>,
    ) -> Self {
        Self {
            delay,
            known,
            started,
            marks: Marks::new(delay, marks),
            states: StateChanges::default(),
            snapshots: Snapshots::new(delay),
            began: false,
            market: None,
            caught_up: false,
            failing: false,
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

    /// Takes over what is old enough of `live`, which had reached `head` before `now`. `passed` is the
    /// wall clock, or less if it has jumped forward. Returns whether there is more to take over.
    pub(super) fn step(&mut self, live: &Hub, (head, now): (Seq, Now), passed: Time) -> bool {
        let uptime = self.started + now.uptime;
        self.marks.note(head, Now { uptime, ..now });
        self.states.note(live);
        let old = now.uptime.checked_sub(self.delay);
        let reached = self.marks.reached_at(uptime.checked_sub(self.delay));
        let release = Release {
            until: reached.map_or(Seq::ZERO, |mark| mark.head),
            wall: reached.map_or(Time::default(), |mark| mark.wall),
            known: self.known,
        };
        // The sources of everything that is old enough are known by now.
        if let Some(market) = &self.market {
            mirror_sources(live, market);
        }
        let more = match self.turns(live, release) {
            Turn::More => true,
            Turn::Done => {
                self.failing = false;
                self.reach_delay();
                false
            }
            Turn::Lost => {
                tracing::warn!(
                    delay = self.delay.as_secs(),
                    "the tape does not reach back as far as the delay: the delayed market starts anew"
                );
                (self.market, self.caught_up) = (None, false);
                true
            }
            Turn::Unreadable(error) => {
                self.note_failure(&error);
                // The market stands still. Its sources become stale.
                return false;
            }
        };
        if let Some(market) = &self.market {
            self.states.apply(market, old);
            if let Some(mark) = reached.filter(|_| !more) {
                market.set_complete_until(mark.left.min(passed.saturating_sub(self.delay)));
            }
            if !more {
                self.snapshots.write_if_due(market, now.uptime);
            }
        }
        more
    }

    /// Takes over what is old enough, until another market has its turn. Returns what the last turn has
    /// done.
    fn turns(&mut self, live: &Hub, release: Release) -> Turn {
        for _ in 0..TURNS {
            match self.turn(live, release) {
                Turn::More => {}
                last => return last,
            }
        }
        Turn::More
    }

    /// Reports an error of the disk once.
    fn note_failure(&mut self, error: &ReadError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                delay = self.delay.as_secs(),
                %error,
                "the tape cannot be read: the delayed market waits, and its prices become stale"
            );
        }
    }

    /// Writes the last snapshot.
    pub(super) fn close(&mut self, now: Duration) {
        if let Some(market) = self.market() {
            self.snapshots.write(&market, now);
        }
    }

    /// Notes that the market has everything that is old enough. The ticks that a new market has taken
    /// over at once are no news of their sources, so the states are applied after them.
    fn reach_delay(&mut self) {
        let Some(market) = &self.market else { return };
        if !std::mem::replace(&mut self.caught_up, true) {
            self.states.repeat(market);
        }
    }

    fn turn(&mut self, live: &Hub, release: Release) -> Turn {
        let Some(market) = &self.market else {
            let earlier = match (
                std::mem::replace(&mut self.began, true),
                live.log().archive(),
            ) {
                (false, Some(tape)) => self.snapshots.restore(live, tape),
                _ => None,
            };
            let restore = earlier.or_else(|| begin(live, release));
            self.market = restore.map(|restore| following(live, self.delay, restore));
            return match &self.market {
                Some(market) => {
                    mirror_sources(live, market);
                    Turn::More
                }
                None => Turn::Done,
            };
        };
        let from = market.head().1;
        let disk = live.log().archive();
        if from >= release.until {
            return Turn::Done;
        }
        if from < release.known
            && let Some(tape) = disk
        {
            return follow_disk(live, market, tape, release);
        }
        match (follow_memory(live, market, release), disk) {
            (Turn::Lost, Some(tape)) => follow_disk(live, market, tape, release),
            (turn, _) => turn,
        }
    }
}

/// Returns the market as of the beginning of the live tape, if that is old enough.
fn begin(live: &Hub, release: Release) -> Option<Restore> {
    let in_memory = || {
        live.log().read(|log| {
            let start = log.tape().start();
            Some((start, log.tape().digest_at(start)?))
        })
    };
    let disk = live.log().archive();
    let (start, digest) = disk.and_then(DiskTape::beginning).or_else(in_memory)?;
    if start > release.until {
        return None;
    }
    let mut restore = Restore::new(live.0.epoch, live.0.settings.limits, (start, digest));
    // Symbols that were removed before are not on the delayed market.
    restore.forget_until(start);
    seed(live, start, &mut restore);
    Some(restore)
}

/// Makes a delayed market that goes on from here.
fn following(live: &Hub, delay: Duration, restore: Restore) -> Hub {
    let log = Log::following(restore.done(), live.log().archive().cloned());
    Hub::delayed(live, Arc::new(log), live.0.settings.delayed_by(delay))
}

/// Tells a delayed market about the sources of the live one.
fn mirror_sources(live: &Hub, market: &Hub) {
    let sources = market.source_list();
    sources.mirror(live.source_list(), market.now().wall);
}

/// Restores the symbols that have not changed since `start`: their newest ticks are the same as
/// then.
fn seed(live: &Hub, start: Seq, restore: &mut Restore) {
    let unchanged = live.log().each_symbol(|log, id| {
        let market = log.market();
        if market.last_position(id).seq > start || market.newest(id).is_none() {
            return None;
        }
        Some((log.symbol_snapshot(id)?, market.source(id)))
    });
    for (mut snapshot, source) in unchanged {
        snapshot.forget_unchanged();
        restore.symbol_of(snapshot, source);
    }
}

/// Takes over entries from the memory of the live market.
fn follow_memory(live: &Hub, market: &Hub, release: Release) -> Turn {
    let from = market.head().1;
    let Some(run) = live.log().run(from) else {
        return Turn::Lost;
    };
    let released = run.entries().take_while(|(seq, _)| *seq <= release.until);
    let entries = live.log().read(|log| {
        let own = |(seq, entry)| {
            let entry: &Entry = entry;
            (entry, log.market().symbol(entry.symbol), log.new_close(seq))
        };
        // The closes leave the memory together with the entries.
        log.tape()
            .reaches_back_to(from)
            .then(|| released.map(own).collect::<Vec<_>>())
    });
    let Some(entries) = entries else {
        return Turn::Lost;
    };
    let now = Now {
        uptime: market.now().uptime,
        wall: release.wall,
    };
    let mut active = Active::of(market);
    market.log().follow(|follow| {
        for (entry, symbol, close) in &entries {
            let frame = entry.frame();
            let sequenced = follow(Followed {
                recorded: Recorded {
                    symbol: *symbol,
                    prev_close: *close,
                    json: frame.map(Frame::json),
                },
                frame,
                source: entry.source,
                now,
            });
            if frame.is_some() {
                active.note(entry.source, *symbol, sequenced);
            }
        }
    });
    active.report(market);
    Turn::More
}

/// Takes over entries from the disk of the live market.
fn follow_disk(live: &Hub, market: &Hub, tape: &DiskTape, release: Release) -> Turn {
    let from = market.head().1;
    let (mut entries, mut waits) = (Vec::new(), false);
    let read = tape.read_stamped(from, |at, recorded, accepted| {
        waits = at.seq > release.until;
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
        return match matches!(error, ReadError::Expired) {
            true => Turn::Lost,
            false => Turn::Unreadable(error),
        };
    }
    // An earlier run knew the sources of its entries. This one cannot say whether the prices are
    // alive.
    let earlier = entries.partition_point(|entry| entry.seq <= release.known);
    let mut sources = vec![SourceId::UNKNOWN; earlier];
    if let Some(own) = entries.get(earlier..).filter(|own| !own.is_empty()) {
        let own = own.iter().map(|entry| (entry.seq, entry.symbol));
        sources.extend(live.log().sources_at(own));
    }
    let uptime = market.now().uptime;
    let mut active = Active::of(market);
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
            if entry.json.is_some() {
                active.note(*source, entry.symbol, sequenced);
            }
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
struct Active {
    /// The number of changes of states of the sources before.
    state_changes: u64,
    ticks: Vec<(SourceId, u64)>,
    taken_over: Vec<(SourceId, (Symbol, SourceId))>,
}

impl Active {
    fn of(market: &Hub) -> Self {
        Self {
            state_changes: market.source_list().state_changes(),
            ticks: Vec::new(),
            taken_over: Vec::new(),
        }
    }

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
        let is_steady = sources.state_changes() == self.state_changes;
        for (source, ticks) in self.ticks {
            sources.note_ticks(source, ticks, now);
        }
        for (source, symbol) in self.taken_over {
            sources.note_take_over((source, is_steady), &[symbol], now.wall);
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
