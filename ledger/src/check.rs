//! The promises, one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a reader saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It connected, with this cursor.
    Connect(Option<String>),
    /// A price, as written, and its number.
    Tick {
        /// Of what.
        symbol: String,
        /// Which.
        n: u64,
        /// As written.
        price: String,
    },
    /// It has caught up.
    Ready {
        /// Without a break.
        resumed: bool,
    },
    /// Nothing else happened.
    Heartbeat,
    /// There may be a hole.
    Reset {
        /// Why.
        reason: String,
    },
    /// The server ended it.
    Bye {
        /// Why.
        reason: String,
    },
    /// The connection ended.
    Lost,
    /// From now on it asks for other symbols.
    Changed {
        /// Which.
        symbols: BTreeSet<String>,
        /// While it was not connected: it comes back with a cursor of another list.
        away: bool,
    },
}

/// A line of a reader's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The event's id; empty where it had none.
    pub id: String,
    /// What it was.
    pub seen: Seen,
}

/// What one reader saw, over all its connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reader {
    /// Which.
    pub name: String,
    /// Whether it asked for every tick.
    pub all: bool,
    /// What it asked for; nothing: everything.
    pub symbols: BTreeSet<String>,
    /// Whether it was there in the end, with time to catch up.
    pub healed: bool,
    /// What it saw, in order.
    pub entries: Vec<Entry>,
}

/// What is on the tape in the end, and what publishers were told is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Book {
    /// The prices of each symbol, as written, from its first tick on.
    pub prices: BTreeMap<String, Vec<String>>,
    /// Prices whose publisher was answered 200, by symbol.
    pub acknowledged: BTreeMap<String, Vec<String>>,
    /// The same as `prices` for tapes that were there for a while: one that was lost when a copy of it was put in its place, say.
    #[serde(default)]
    pub lost: Vec<BTreeMap<String, Vec<String>>>,
}

/// Which promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// No hole.
    L1,
    /// Nothing twice.
    L2,
    /// Places grow.
    L3,
    /// As published.
    L4,
    /// The newest in the end.
    L5,
    /// Resets have reasons.
    L6,
    /// Never back.
    L8,
}

/// The first promise that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Whose.
    pub reader: String,
    /// At which of its entries.
    pub at: usize,
    /// What happened.
    pub what: String,
    /// The entries around it.
    pub around: Vec<Entry>,
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// Ticks seen.
    pub ticks: u64,
    /// Connections made.
    pub connections: u64,
    /// Resumed without a break.
    pub resumed: u64,
    /// Resets told.
    pub resets: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} broken: {}, entry {}: {}", self.rule, self.reader, self.at, self.what)?;
        self.around.iter().try_for_each(|entry| writeln!(f, "    {:<34} {:?}", entry.id, entry.seen))
    }
}

/// Holds everything against everything.
///
/// # Errors
/// The first promise that was broken.
pub fn check(book: &Book, readers: &[Reader]) -> Result<Summary, Box<Violation>> {
    acknowledged(book)?;
    let mut summary = Summary::default();
    for reader in readers {
        Walk::new(book, reader).run(&mut summary)?;
    }
    Ok(summary)
}

/// What was acknowledged is there, in the order in which it was.
fn acknowledged(book: &Book) -> Result<(), Box<Violation>> {
    for (symbol, prices) in &book.acknowledged {
        let mut kept = book.prices.get(symbol).into_iter().flatten();
        for price in prices {
            if !kept.any(|there| there == price) {
                let what =
                    format!("{symbol} at {price} was acknowledged and is not on the tape, or out of order");
                let reader = "publisher".to_owned();
                return Err(Box::new(Violation { rule: Rule::L4, reader, at: 0, what, around: Vec::new() }));
            }
        }
    }
    Ok(())
}

/// One reader's way through its entries.
struct Walk<'a> {
    book: &'a Book,
    reader: &'a Reader,
    /// The last number of each symbol, since the beginning or a reset.
    last: HashMap<&'a str, u64>,
    /// Those that were seen before a reset: newest values do not go back behind it either.
    highest: HashMap<&'a str, u64>,
    place: Option<(&'a str, u64)>,
    /// The cursor of this connection, and whether anything was heard on it.
    cursor: Option<&'a str>,
    begun: bool,
    /// What it asks for now, and whether that is another thing than when it was last connected.
    symbols: &'a BTreeSet<String>,
    changed: bool,
    connected: bool,
    /// On this connection ticks may come again that came on another.
    lenient: bool,
    /// What it has asked for all the time since its cursor.
    steady: BTreeSet<&'a str>,
    /// Symbols that it is to be sent again.
    again: BTreeSet<&'a str>,
    /// Where each symbol goes on at the latest, for readers of every tick, after a change.
    due: HashMap<&'a str, u64>,
    /// The tapes that say the same as this reader, since the beginning or a reset; 0 is the one that is left.
    tapes: BTreeSet<usize>,
}

/// What the ids of a stream end in that was changed and has not been sent all that is new to it.
const PENDING: &str = ".____";

impl<'a> Walk<'a> {
    fn new(book: &'a Book, reader: &'a Reader) -> Self {
        let (last, highest, due) = (HashMap::new(), HashMap::new(), HashMap::new());
        let tapes = (0..=book.lost.len()).collect();
        let symbols = &reader.symbols;
        Self {
            book,
            reader,
            last,
            highest,
            place: None,
            cursor: None,
            begun: false,
            symbols,
            changed: false,
            connected: false,
            lenient: false,
            steady: BTreeSet::new(),
            again: BTreeSet::new(),
            due,
            tapes,
        }
    }

    /// The tapes there were.
    fn tape(&self, number: usize) -> &'a BTreeMap<String, Vec<String>> {
        number.checked_sub(1).map_or(&self.book.prices, |lost| &self.book.lost[lost])
    }

    fn run(mut self, summary: &mut Summary) -> Result<(), Box<Violation>> {
        for (at, entry) in self.reader.entries.iter().enumerate() {
            match &entry.seen {
                Seen::Connect(cursor) => {
                    summary.connections += 1;
                    (self.cursor, self.begun) = (cursor.as_deref(), false);
                    let pending = cursor.as_deref().is_some_and(|cursor| cursor.ends_with(PENDING));
                    let resumes = if self.reader.all { Some(true) } else { self.resumes(at) };
                    self.lenient = resumes.is_none();
                    if self.lenient {
                        (self.place, self.tapes) = (None, (0..=self.book.lost.len()).collect());
                    }
                    if cursor.is_none() || resumes == Some(false) {
                        // Whoever comes without a cursor, or is sent the newest of everything, begins anew.
                        self.forget();
                        self.forget_other_tapes();
                    } else if std::mem::take(&mut self.changed) || pending {
                        if self.reader.all {
                            let steady = self.last.iter().filter(|(symbol, _)| self.steady.contains(*symbol));
                            self.due = steady.map(|(symbol, n)| (*symbol, n + 1)).collect();
                        }
                        let tapes = self.tapes.clone();
                        self.forget();
                        self.tapes = tapes;
                    }
                    if self.lenient {
                        self.forget_other_tapes();
                    }
                    self.changed = false;
                    self.connected = true;
                    continue;
                }
                Seen::Changed { symbols, away } => {
                    let before = std::mem::replace(&mut self.symbols, symbols);
                    self.changed |= away;
                    self.steady.retain(|symbol| symbols.contains(*symbol));
                    if *away && !before.is_empty() {
                        // What its cursor is not about it has not seen up to there.
                        self.last.retain(|symbol, _| before.contains(*symbol));
                    }
                    // While it is connected it is sent the newest ticks of what it did not ask for before.
                    for symbol in symbols.difference(before).filter(|_| self.connected) {
                        self.due.remove(symbol.as_str());
                        self.again.insert(symbol.as_str());
                    }
                    continue;
                }
                Seen::Reset { reason } => {
                    summary.resets += 1;
                    self.reset(at, reason)?;
                }
                Seen::Tick { symbol, n, price } => {
                    summary.ticks += 1;
                    self.tick(at, symbol, *n, price)?;
                }
                Seen::Ready { resumed } => {
                    summary.resumed += u64::from(*resumed);
                    let reset = self.reader.entries[..at].iter().rev();
                    let mut since = reset.take_while(|entry| !matches!(entry.seen, Seen::Connect(_)));
                    if *resumed && since.any(|entry| matches!(entry.seen, Seen::Reset { .. })) {
                        return Err(self.broken(Rule::L6, at, "it is said to have resumed behind a reset"));
                    }
                }
                Seen::Lost => self.connected = false,
                Seen::Heartbeat | Seen::Bye { .. } => {}
            }
            self.begun = true;
            if !entry.id.is_empty() && !entry.id.ends_with(PENDING) {
                self.steady = self.symbols.iter().map(String::as_str).collect();
            }
            self.place(at, entry)?;
        }
        self.healed()
    }

    /// Whether it is said to go on where it left, on the connection that begins here. Of one that broke off before that was said, and
    /// brought something, nobody knows: it may have begun with the newest of everything.
    fn resumes(&self, at: usize) -> Option<bool> {
        let after = self.reader.entries[at + 1..].iter().map(|entry| &entry.seen);
        let connection = after.take_while(|seen| !matches!(seen, Seen::Connect(_)));
        let mut brought = false;
        for seen in connection {
            match seen {
                Seen::Ready { resumed } => return Some(*resumed),
                Seen::Tick { .. } => brought = true,
                _ => {}
            }
        }
        (!brought).then_some(true)
    }

    /// A tape that took another one's place may be older.
    fn forget_other_tapes(&mut self) {
        if !self.book.lost.is_empty() {
            self.highest.clear();
        }
    }

    fn forget(&mut self) {
        self.tapes = (0..=self.book.lost.len()).collect();
        for (symbol, n) in self.last.drain() {
            let highest = self.highest.entry(symbol).or_default();
            *highest = n.max(*highest);
        }
        self.place = None;
    }

    fn reset(&mut self, at: usize, reason: &str) -> Result<(), Box<Violation>> {
        let can_be = matches!(reason, "expired" | "epoch" | "invalid" | "lagging");
        if !can_be || self.begun || self.cursor.is_none() {
            return Err(self.broken(Rule::L6, at, "a reset that nothing explains"));
        }
        if reason == "expired" && !self.reader.all {
            return Err(self.broken(Rule::L6, at, "newest values need no history"));
        }
        self.forget();
        self.due.clear();
        self.forget_other_tapes();
        Ok(())
    }

    fn tick(&mut self, at: usize, symbol: &'a str, n: u64, price: &str) -> Result<(), Box<Violation>> {
        let published = |tape: usize| {
            let prices = self.tape(tape).get(symbol)?;
            prices.get(usize::try_from(n).ok()?.checked_sub(1)?)
        };
        let tapes = self.tapes.iter().copied();
        let agree: BTreeSet<_> =
            tapes.filter(|tape| published(*tape).map(String::as_str) == Some(price)).collect();
        if agree.is_empty() {
            let what = format!("{symbol} {n} came as {price}, published was {:?}", published(0));
            return Err(self.broken(Rule::L4, at, &what));
        }
        self.tapes = agree;
        if !self.symbols.is_empty() && !self.symbols.contains(symbol) {
            return Err(self.broken(Rule::L4, at, "nobody asked for it"));
        }
        if let Some(due) = self.due.remove(symbol)
            && n > due
        {
            return Err(self.broken(Rule::L1, at, &format!("{symbol} {n} came where {due} was the next")));
        }
        let again = self.again.remove(symbol);
        match self.last.insert(symbol, n) {
            Some(_) if again => {}
            Some(last) if self.lenient && (n == last || !self.book.lost.is_empty()) => {}
            Some(last) if n == last => {
                return Err(self.broken(Rule::L2, at, &format!("{symbol} {n} came twice")));
            }
            Some(last) if n < last => {
                let (rule, what) = (
                    if self.reader.all { Rule::L2 } else { Rule::L8 },
                    format!("{symbol} {n} came after {last}"),
                );
                return Err(self.broken(rule, at, &what));
            }
            Some(last) if self.reader.all && n != last + 1 => {
                return Err(self.broken(Rule::L1, at, &format!("{symbol} {n} came after {last}")));
            }
            // Behind a reset every tick may come again, but a newest value is the newest.
            None if !self.reader.all && self.highest.get(symbol).is_some_and(|highest| n < *highest) => {
                return Err(self.broken(Rule::L8, at, &format!("{symbol} went back to {n}")));
            }
            _ => {}
        }
        Ok(())
    }

    fn place(&mut self, at: usize, entry: &'a Entry) -> Result<(), Box<Violation>> {
        let Some((epoch, seq)) = entry.id.split_once('-') else {
            // Only what is said before anything has a place.
            return match entry.seen {
                // Or where the tape has forgotten the place.
                Seen::Lost | Seen::Bye { .. } | Seen::Heartbeat => Ok(()),
                _ => Err(self.broken(Rule::L3, at, "it has no place")),
            };
        };
        let seq = seq.split(['.', '_']).next().unwrap_or_default();
        let Ok(seq) = seq.parse() else { return Err(self.broken(Rule::L3, at, "its place is none")) };
        let grown = match self.place {
            Some((known, last)) if known == epoch => match entry.seen {
                // The newest ticks of what was added come at the place where that was done.
                Seen::Tick { .. } if !entry.id.ends_with(PENDING) => seq > last,
                _ => seq >= last,
            },
            // Another life of the tape comes with a reset, which has forgotten the place.
            Some(_) => false,
            None => true,
        };
        self.place = Some((epoch, seq));
        if grown {
            Ok(())
        } else {
            Err(self.broken(Rule::L3, at, "its place does not come after the last one"))
        }
    }

    /// Who was there in the end has the newest price of everything it asked for.
    fn healed(&self) -> Result<(), Box<Violation>> {
        if !self.reader.healed {
            return Ok(());
        }
        if !self.tapes.contains(&0) {
            return Err(self.broken(Rule::L5, self.reader.entries.len(), "it holds another tape"));
        }
        for (symbol, prices) in &self.book.prices {
            let wanted = self.symbols.is_empty() || self.symbols.contains(symbol);
            let held = self.last.get(symbol.as_str()).copied().unwrap_or_default();
            if wanted && held != prices.len() as u64 {
                let what = format!("{symbol} ends at {held} where {} is the newest", prices.len());
                return Err(self.broken(Rule::L5, self.reader.entries.len(), &what));
            }
        }
        Ok(())
    }

    fn broken(&self, rule: Rule, at: usize, what: &str) -> Box<Violation> {
        let entries = &self.reader.entries;
        let around = entries[at.saturating_sub(4)..entries.len().min(at + 3)].to_vec();
        Box::new(Violation { rule, reader: self.reader.name.clone(), at, what: what.to_owned(), around })
    }
}

#[cfg(test)]
mod tests;
