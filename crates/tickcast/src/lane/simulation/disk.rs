//! The disk of the simulated log: it takes entries later than they are sequenced, or never.

use tickcast_core::{Frame, Mark, Now, Price, Symbol, Tick, Time};

use super::{Fault, SYMBOLS, Simulation};

/// An entry that the disk does not have yet.
pub(super) struct Unwritten {
    symbol: Symbol,
    price: String,
    json: Vec<u8>,
    wall: Time,
    /// The position after the entry.
    mark: Mark,
}

impl Simulation {
    /// Publishes a tick. Readers must not see it before the disk has it.
    pub(super) fn tick(&mut self, symbol: usize) {
        let symbol = Symbol::new(SYMBOLS[symbol]).unwrap();
        let written = self.published.prices.get(symbol.as_str());
        let unwritten = self.unwritten.iter().filter(|entry| entry.symbol == symbol);
        let count = written.map_or(0, Vec::len) + unwritten.count();
        let price = Price::from_units(count as i64 * 100 + self.rng.i64(0..100), 2).unwrap();
        let now = Now {
            uptime: self.now,
            wall: self.wall,
        };
        self.log.sequence(&Tick::new(symbol, price), now);
        let (json, mark) = self.log.read(|log| {
            let (entry, _) = log.newest_entry().unwrap();
            let json = entry.frame().map(Frame::json);
            (json.unwrap().to_vec(), log.mark())
        });
        self.unwritten.push(Unwritten {
            symbol,
            price: price.to_string(),
            json,
            wall: self.wall,
            mark,
        });
        // The disk is usually fast.
        if self.healed || self.rng.u8(..4) > 0 {
            self.write(self.unwritten.len());
        }
    }

    /// The disk takes some entries.
    pub(super) fn write_some(&mut self) {
        let count = self.rng.usize(..=self.unwritten.len());
        self.write(count);
    }

    fn write(&mut self, count: usize) {
        let written: Vec<_> = self.unwritten.drain(..count).collect();
        if let Some(last) = written.last() {
            self.log.show_until(last.mark);
        }
        for entry in written {
            let name = entry.symbol.to_string();
            let prices = self.published.prices.entry(name).or_default();
            prices.push(entry.price);
            self.tape.push((entry.symbol, entry.json, entry.wall));
        }
    }

    /// The disk refuses the entries that it does not have. Their publishers are told so.
    pub(super) fn refuse_write(&mut self) {
        if !self.unwritten.is_empty() {
            self.faults.insert(Fault::WriteRefused);
            self.unwritten.clear();
            self.log.take_back();
        }
    }

    /// The process ends before the disk has everything.
    pub(super) fn lose_unwritten(&mut self) {
        if !self.unwritten.is_empty() {
            self.faults.insert(Fault::KilledBetweenHeads);
            self.unwritten.clear();
        }
    }
}
