//! No lane sleeps although the log has something for it.

use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;
use tickcast_core::{
    Epoch, Limits, Now, Price, Sequencer, SourceId, SourceOptions, Symbol, SymbolId, Tick,
};

use crate::doorbell::Doorbell;
use crate::interest::{Interest, LaneInterest};

/// A log whose entries are known. Publishers move its head over them.
struct Log {
    entries: Vec<SymbolId>,
    head: AtomicU64,
    interest: Arc<Interest>,
    doorbells: [Doorbell; 2],
    lanes: [Mutex<Lane>; 2],
}

/// A lane. Its own thread and publishers share it.
#[derive(Default)]
struct Lane {
    /// Number of entries that it has.
    at: usize,
    /// What its reader wants, if it has one.
    wanted: Option<SymbolId>,
}

/// Returns the numbers of three symbols.
fn symbols() -> [SymbolId; 3] {
    let mut log = Sequencer::new(Epoch::new(1), Limits::default());
    ["A", "B", "C"].map(|name| {
        let tick = Tick::new(Symbol::new(name).unwrap(), Price::from_units(1, 0).unwrap());
        let context = (SourceId::default(), SourceOptions::default());
        let accepted = log.accept(&tick, context.0, context.1, Now::default());
        accepted.unwrap().symbol
    })
}

impl Log {
    /// Makes a log of these symbols, by number. All of them were seen before.
    fn of(entries: &[usize]) -> Arc<Self> {
        let symbols = symbols();
        let interest = Arc::new(Interest::default());
        let lane = interest.of_lane(0);
        lane.listen(true);
        let mut all = Default::default();
        let listening = interest.listening().unwrap();
        interest.add_woken(&mut all, listening, symbols.into_iter());
        lane.listen(false);
        Arc::new(Self {
            entries: entries.iter().map(|number| symbols[*number]).collect(),
            head: AtomicU64::new(0),
            interest,
            doorbells: Default::default(),
            lanes: Default::default(),
        })
    }

    fn head(&self) -> usize {
        self.head.load(Ordering::SeqCst) as usize
    }

    /// Publishes the next entry, as `Order` does.
    fn publish(&self) {
        let before = self.head.fetch_add(1, Ordering::SeqCst) as usize;
        let Some(listening) = self.interest.listening() else {
            return;
        };
        let mut woken = self.interest.woken_by_everything(listening);
        let entry = self.entries[before];
        self.interest
            .add_woken(&mut woken, listening, std::iter::once(entry));
        let is_alone = woken.iter().map(|lanes| lanes.count_ones()).sum::<u32>() == 1;
        self.interest.wake(woken, |lane| {
            if !(is_alone && self.deliver(lane)) {
                self.doorbells[lane].wake();
            }
        });
    }

    /// Brings a lane to the head on the thread of a publisher, as `Work` does. Returns whether the
    /// lane may sleep on.
    fn deliver(&self, number: usize) -> bool {
        let Ok(mut lane) = self.lanes[number].try_lock() else {
            return false;
        };
        lane.at = self.head();
        // The thread of the lane ends when the lane has everything.
        !self.listen(number, &mut lane) && !self.is_complete(&lane)
    }

    /// Listens. Returns whether the log has something for the lane already.
    fn listen(&self, number: usize, lane: &mut Lane) -> bool {
        let interest = self.interest.of_lane(number);
        interest.listen(true);
        let new = lane.at..self.head();
        let pending = self.entries[new]
            .iter()
            .any(|entry| lane.wanted == Some(*entry));
        if pending {
            interest.listen(false);
        }
        pending
    }

    /// Checks whether the log will have nothing more for the lane.
    fn is_complete(&self, lane: &Lane) -> bool {
        lane.wanted.is_some_and(|wanted| {
            let last = self.entries.iter().rposition(|entry| *entry == wanted);
            last.is_none_or(|last| lane.at > last)
        })
    }

    /// Runs a lane, as `Work` does, until it has the last entry that it wants. The lane gets a
    /// reader of `wanted` when `opens` says so.
    fn run_lane(&self, number: usize, wanted: usize, opens: &AtomicU64) {
        let (interest, wanted) = (self.interest.of_lane(number), symbols()[wanted]);
        loop {
            let mut lane = self.lanes[number].lock().unwrap();
            lane.at = self.head();
            if lane.wanted.is_none() && opens.load(Ordering::SeqCst) > 0 {
                lane.wanted = Some(wanted);
                interest.want(wanted.index(), true);
            }
            if self.is_complete(&lane) {
                return;
            }
            let pending = self.listen(number, &mut lane);
            drop(lane);
            if !pending {
                self.doorbells[number].wait();
            }
        }
    }
}

/// Runs two lanes and two publishers. One lane has a reader from the start, the other one gets its reader at any moment.
pub fn lanes_and_publishers() {
    let log = Log::of(&[0, 1, 2, 0, 1]);
    let opens = Arc::new([AtomicU64::new(1), AtomicU64::new(0)]);
    let lanes: Vec<_> = (0..2)
        .map(|lane| {
            let (log, opens) = (Arc::clone(&log), Arc::clone(&opens));
            thread::spawn(move || log.run_lane(lane, lane, &opens[lane]))
        })
        .collect();
    let publishers: Vec<_> = [2, 3]
        .into_iter()
        .map(|entries| {
            let log = Arc::clone(&log);
            thread::spawn(move || (0..entries).for_each(|_| log.publish()))
        })
        .collect();
    // The reader comes.
    opens[1].store(1, Ordering::SeqCst);
    log.doorbells[1].wake();
    for thread in publishers.into_iter().chain(lanes) {
        thread.join().unwrap();
    }
}

/// Runs two lanes with readers of the same symbol. The lanes share a bit, and one of the readers goes
/// away.
pub fn lanes_that_share_a_bit() {
    let log = Log::of(&[0]);
    let lanes = [log.interest.of_lane(0), log.interest.of_lane(64)];
    let symbol = symbols()[0].index();
    lanes.iter().for_each(|lane| lane.want(symbol, true));
    let goes: LaneInterest = lanes[0].clone();
    let going = thread::spawn(move || goes.want(symbol, false));
    lanes[1].listen(true);
    let listening = log.interest.listening().unwrap();
    let mut woken = log.interest.woken_by_everything(listening);
    log.interest
        .add_woken(&mut woken, listening, log.entries.iter().copied());
    assert_eq!(woken, listening);
    going.join().unwrap();
}
