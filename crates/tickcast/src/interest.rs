//! Which lanes sleep until the log advances, and by which symbols each of them is woken.

use std::sync::Arc;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tickcast_core::SymbolId;

/// A lane that nobody wakes follows the log at least once in so many entries. So it never falls far
/// behind, and its next reader does not wait for it.
pub(crate) const WAKE_EVERY: u64 = 1024;

/// Maximum number of lanes: more than the cores of any machine that this was tried on.
pub(crate) const MAX_LANES: usize = 256;

/// Number of lanes in one word.
const BITS: usize = u64::BITS as usize;

/// Number of words with a bit for each lane.
const WORDS: usize = MAX_LANES.div_ceil(BITS);

/// One bit for each lane.
pub(crate) type Lanes = [u64; WORDS];

/// What all lanes of a log are interested in. Publishers look here whom to wake. So a lane without a
/// reader of a tick costs its publisher nothing.
///
/// All accesses to `listening` and to the head of the log are in one order (`SeqCst`): a publisher
/// first moves the head and then looks who listens; a lane first listens and then looks at the head.
/// So one of the two sees the other.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    /// The lanes that sleep until the log advances.
    listening: [AtomicU64; WORDS],
    /// The lanes that are woken by each tick.
    everything: [AtomicU64; WORDS],
    /// For each symbol, the lanes with a reader of it. Lanes with the same number modulo 64 share a
    /// bit: they are woken together.
    by_symbol: boxcar::Vec<AtomicU64>,
    /// Whether lanes share bits. Then no lane removes one, because another one may need it.
    shares_bits: AtomicBool,
    /// Number of symbols that the readers of the log have seen. A new one may match any pattern.
    seen: AtomicUsize,
}

/// The interest of one lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct LaneInterest {
    interest: Arc<Interest>,
    lane: usize,
}

impl Interest {
    /// Returns the interest of a lane.
    pub(crate) fn of_lane(self: &Arc<Self>, lane: usize) -> LaneInterest {
        if lane >= BITS {
            self.shares_bits.store(true, Ordering::Relaxed);
        }
        LaneInterest {
            interest: Arc::clone(self),
            lane,
        }
    }

    /// Returns the lanes that listen, or `None` if there are none.
    pub(crate) fn listening(&self) -> Option<Lanes> {
        let lanes = load(&self.listening, Ordering::SeqCst);
        lanes.iter().any(|word| *word > 0).then_some(lanes)
    }

    /// Returns those of the `listening` lanes that each entry wakes.
    pub(crate) fn woken_by_everything(&self, listening: Lanes) -> Lanes {
        let everything = load(&self.everything, Ordering::Acquire);
        std::array::from_fn(|word| listening[word] & everything[word])
    }

    /// Adds those of the `listening` lanes to `woken` that new entries of `symbols` wake.
    pub(crate) fn add_woken(
        &self,
        woken: &mut Lanes,
        listening: Lanes,
        mut symbols: impl Iterator<Item = SymbolId>,
    ) {
        while *woken != listening
            && let Some(id) = symbols.next()
        {
            if id.index() >= self.seen.load(Ordering::Relaxed) {
                let last = symbols.map(SymbolId::index).fold(id.index(), usize::max);
                self.seen.fetch_max(last + 1, Ordering::Relaxed);
                *woken = listening;
                return;
            }
            let interested = self.by_symbol.get(id.index());
            let interested = interested.map_or(0, |lanes| lanes.load(Ordering::Acquire));
            for (woken, listening) in woken.iter_mut().zip(listening) {
                *woken |= listening & interested;
            }
        }
    }

    /// Returns the lanes with a reader of a symbol. Makes their place if there is none.
    fn lanes_of(&self, index: usize) -> &AtomicU64 {
        loop {
            if let Some(lanes) = self.by_symbol.get(index) {
                return lanes;
            }
            if self.by_symbol.count() <= index {
                self.by_symbol.push(AtomicU64::new(0));
            } else {
                // Another lane makes the place at this moment.
                std::hint::spin_loop();
            }
        }
    }

    /// Calls `wake` for each of these lanes that still listens. They listen no more.
    pub(crate) fn wake(&self, lanes: Lanes, wake: impl Fn(usize)) {
        let some = lanes.into_iter().enumerate().filter(|(_, bits)| *bits > 0);
        for (word, mut bits) in some {
            bits &= self.listening[word].fetch_and(!bits, Ordering::SeqCst);
            while bits > 0 {
                wake(word * BITS + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

fn load(lanes: &[AtomicU64; WORDS], order: Ordering) -> Lanes {
    std::array::from_fn(|word| lanes[word].load(order))
}

impl LaneInterest {
    /// Sets whether the lane sleeps until the log advances.
    pub(crate) fn listen(&self, listening: bool) {
        self.set(&self.interest.listening, listening);
    }

    /// Sets whether each tick wakes the lane.
    pub(crate) fn want_everything(&self, everything: bool) {
        let own = &self.interest.everything[self.lane / BITS];
        // This seldom changes, and a load is cheap.
        if (own.load(Ordering::Relaxed) & self.bit() > 0) != everything {
            self.set(&self.interest.everything, everything);
        }
    }

    /// Sets whether the lane has readers of the symbol with the number `index`.
    pub(crate) fn want(&self, index: usize, wanted: bool) {
        let lanes = self.interest.lanes_of(index);
        if wanted {
            lanes.fetch_or(self.bit(), Ordering::Release);
        } else if !self.interest.shares_bits.load(Ordering::Relaxed) {
            lanes.fetch_and(!self.bit(), Ordering::Release);
        }
    }

    fn set(&self, lanes: &[AtomicU64; WORDS], to: bool) {
        let word = &lanes[self.lane / BITS];
        if to {
            word.fetch_or(self.bit(), Ordering::SeqCst);
        } else {
            word.fetch_and(!self.bit(), Ordering::SeqCst);
        }
    }

    const fn bit(&self) -> u64 {
        1 << (self.lane % BITS)
    }
}
