//! The names of all symbols, shared by everything that follows a log.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use foldhash::fast::RandomState;

use crate::{Seq, Symbol, SymbolId};

/// Number of places of the first table.
const FIRST_TABLE: usize = 64;

/// Number of tables. Each is twice as large as the one before, and at least half of it is free. So
/// there is room for every [`SymbolId`].
const TABLES: usize = 28;

/// Maximum number of names that are sorted apart from the others, unless there are very many others.
const MAX_TAIL: usize = 1024;

/// The maximum is at least the number of the others divided by this number.
const TAIL_SHARE: usize = 64;

/// The names of all symbols of a log. Names are only added, by the one writer of the log. Reading
/// takes no lock that the writer takes. Returned by [`Sequencer::names`](crate::Sequencer::names).
#[derive(Debug)]
pub struct Names {
    list: boxcar::Vec<Symbol>,
    /// Each market has a random hasher, so that nobody can choose names that share their places.
    hasher: RandomState,
    /// Tables of the names by their hash, and which of them is complete. The smaller ones are left
    /// to those who still read them; together they are not larger than the last.
    tables: [OnceLock<Table>; TABLES],
    current: AtomicUsize,
    /// Sequence number up to which removed symbols may have been forgotten.
    forgotten: AtomicU64,
    /// The order of the names, as far as anyone has asked for it. The writer never asks.
    order: Mutex<Order>,
}

/// The numbers of names in order of the names: most of them, and those that were added lately. So a
/// new name costs little, also if someone asks for the order after each.
#[derive(Debug, Clone, Default)]
struct Order {
    main: Arc<[SymbolId]>,
    tail: Arc<[SymbolId]>,
}

/// Numbers of names, each at the first free place after its hash. The number 0 is a free place, and
/// the number of the first name is 1.
#[derive(Debug)]
struct Table(Box<[AtomicU32]>);

impl Table {
    fn new(places: usize) -> Self {
        Self((0..places).map(|_| AtomicU32::new(0)).collect())
    }

    /// Looks at the places for a hash, in order, until `is_it` is true for a number, or until a free
    /// place. At least half of the places are free. Returns the number and the place.
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(SymbolId) -> bool) -> (Option<SymbolId>, &AtomicU32) {
        let mut at = hash as usize;
        loop {
            // The length is a power of two.
            let place = &self.0[at & (self.0.len() - 1)];
            let Some(index) = place.load(Ordering::Acquire).checked_sub(1) else {
                return (None, place);
            };
            let id = SymbolId::at(index as usize);
            if is_it(id) {
                return (Some(id), place);
            }
            at = at.wrapping_add(1);
        }
    }

    fn insert(&self, hash: u64, id: SymbolId) {
        let (_, free) = self.find(hash, |_| false);
        free.store(id.index() as u32 + 1, Ordering::Release);
    }
}

impl Default for Names {
    fn default() -> Self {
        let tables = [const { OnceLock::new() }; TABLES];
        let _ = tables[0].set(Table::new(FIRST_TABLE));
        Self {
            list: boxcar::Vec::new(),
            hasher: RandomState::default(),
            tables,
            current: AtomicUsize::new(0),
            forgotten: AtomicU64::new(0),
            order: Mutex::default(),
        }
    }
}

impl Names {
    /// Returns the number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.count()
    }

    /// Checks whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all names in order, starting after `after`, with their numbers. A name that is added
    /// meanwhile may be missing.
    pub fn after(&self, after: Option<Symbol>) -> impl Iterator<Item = (Symbol, SymbolId)> + '_ {
        let ids = self.ids_after(after);
        ids.map(|id| (*self.symbol(id), id))
    }

    /// Returns the numbers of all names in order of the names, starting after `after`.
    pub(crate) fn ids_after(
        &self,
        after: Option<Symbol>,
    ) -> impl Iterator<Item = SymbolId> + use<'_> {
        let Order { main, tail } = self.order();
        let start = |ids: &[SymbolId]| {
            after.map_or(0, |after| {
                ids.partition_point(|id| *self.symbol(*id) <= after)
            })
        };
        let (mut in_main, mut in_tail) = (start(&main), start(&tail));
        std::iter::from_fn(move || {
            // Names are far apart in memory, so they are compared only if there are two parts.
            let from_main = match (main.get(in_main), tail.get(in_tail)) {
                (Some(first), Some(second)) => self.symbol(*first) < self.symbol(*second),
                (first, _) => first.is_some(),
            };
            let (ids, at) = match from_main {
                true => (&main, &mut in_main),
                false => (&tail, &mut in_tail),
            };
            *at += 1;
            ids.get(*at - 1).copied()
        })
    }

    /// Returns the name with that number.
    #[inline]
    pub(crate) fn symbol(&self, id: SymbolId) -> &Symbol {
        &self.list[id.index()]
    }

    /// Returns the number of a name.
    #[must_use]
    pub fn id(&self, symbol: &Symbol) -> Option<SymbolId> {
        let table = self.tables[self.current.load(Ordering::Acquire)].get()?;
        let is_it = |id: SymbolId| self.list[id.index()] == *symbol;
        table.find(self.hasher.hash_one(symbol), is_it).0
    }

    /// Adds a name that is not there yet. Only the writer of the log calls this, one call at a time.
    pub(crate) fn add(&self, symbol: Symbol) -> SymbolId {
        let id = SymbolId::at(self.list.push(symbol));
        let current = self.current.load(Ordering::Relaxed);
        if let Some(table) = self.tables[current].get()
            && 2 * (id.index() + 1) <= table.0.len()
        {
            table.insert(self.hasher.hash_one(symbol), id);
        } else {
            let next = Table::new(FIRST_TABLE << (current + 1));
            for (index, symbol) in &self.list {
                next.insert(self.hasher.hash_one(symbol), SymbolId::at(index));
            }
            let _ = self.tables[current + 1].set(next);
            self.current.store(current + 1, Ordering::Release);
        }
        id
    }

    /// Records that symbols that were removed up to the entry `seq` may not be among the names.
    pub(crate) fn forget_until(&self, seq: Seq) {
        self.forgotten.fetch_max(seq.get(), Ordering::Relaxed);
    }

    pub(crate) fn forgotten(&self) -> Seq {
        Seq::new(self.forgotten.load(Ordering::Relaxed))
    }

    /// Returns the order of all names. Sorting is fast for names that are mostly in order, so the
    /// two parts of the order are merged by it.
    fn order(&self) -> Order {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let (sorted, all) = (order.main.len() + order.tail.len(), self.len());
        if sorted < all {
            let sort = |old: &[SymbolId], new: &[SymbolId]| {
                let mut ids = [old, new].concat();
                ids.sort_by_key(|id| *self.symbol(*id));
                ids
            };
            let new: Vec<_> = (sorted..all).map(SymbolId::at).collect();
            let tail = sort(&order.tail, &new);
            if tail.len() > MAX_TAIL.max(order.main.len() / TAIL_SHARE) {
                order.main = sort(&order.main, &tail).into();
                order.tail = Arc::default();
            } else {
                order.tail = tail.into();
            }
        }
        order.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name(number: u32) -> Symbol {
        // Not in order of the numbers.
        Symbol::new(&format!("S{}", number.wrapping_mul(2_654_435_761))).unwrap()
    }

    #[test]
    fn names_are_found_by_number_by_name_and_in_order() {
        let (names, mut model) = (Names::default(), BTreeMap::new());
        for number in 0..5000 {
            assert_eq!(names.id(&name(number)), None);
            let id = names.add(name(number));
            assert_eq!(id.index(), number as usize);
            model.insert(name(number), id);
            if number % 177 == 0 || number == 4999 {
                let model = || model.iter().map(|(symbol, id)| (*symbol, *id));
                assert!(names.after(None).eq(model()));
                let after = name(number / 2);
                let later = model().filter(|(symbol, _)| *symbol > after);
                assert!(names.after(Some(after)).eq(later));
            }
        }
        assert_eq!(names.len(), 5000);
        for (symbol, id) in model {
            assert_eq!((names.id(&symbol), *names.symbol(id)), (Some(id), symbol));
        }
    }

    /// A reader finds every name whose number it knows, while the writer adds names.
    #[test]
    fn names_are_found_while_names_are_added() {
        let names = Names::default();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                loop {
                    let known = names.len();
                    for number in 0..known as u32 {
                        let symbol = names.symbol(SymbolId::at(number as usize));
                        assert_eq!(*symbol, name(number));
                    }
                    assert!(names.after(None).count() >= known);
                    if known == 3000 {
                        return;
                    }
                }
            });
            for number in 0..3000 {
                let id = names.add(name(number));
                assert_eq!(names.id(&name(number)), Some(id));
            }
            reader.join().unwrap();
        });
        assert_eq!(names.id(&name(2999)), Some(SymbolId::at(2999)));
    }
}
