//! Checks the guarantees of the server, one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

/// One event that a reader saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// The reader connected with this cursor.
    Connect(Option<String>),
    /// A price as written, and its number.
    Tick {
        /// The symbol.
        symbol: String,
        /// The number of the tick.
        n: u64,
        /// The price as written.
        price: String,
    },
    /// The reader has caught up.
    Ready {
        /// Whether the stream resumed without a break.
        resumed: bool,
    },
    /// A heartbeat (keep-alive event).
    Heartbeat,
    /// A possible gap.
    Reset {
        /// The reason for the reset.
        reason: String,
    },
    /// The server ended the stream.
    Bye {
        /// The reason for the end.
        reason: String,
    },
    /// The connection ended.
    Lost,
    /// From now on the reader subscribes to other symbols.
    Changed {
        /// The new symbols.
        symbols: BTreeSet<String>,
        /// Whether the reader was disconnected. The reader then comes back with a cursor of the old
        /// symbols.
        away: bool,
    },
}

/// A line of a reader's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The event's id; empty if the event had none.
    pub id: String,
    /// The event.
    pub seen: Seen,
}

/// The events that one reader saw over all its connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reader {
    /// The name of the reader.
    pub name: String,
    /// Whether the reader subscribed to every tick.
    pub all: bool,
    /// The symbols of the subscription. An empty set means all symbols.
    pub symbols: BTreeSet<String>,
    /// Whether the reader was connected at the end of the run, with time to catch up.
    pub healed: bool,
    /// The events in order.
    pub entries: Vec<Entry>,
}

/// The final contents of the tape, and the ticks that the server acknowledged to publishers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Book {
    /// The prices of each symbol as written, from the first tick on.
    pub prices: BTreeMap<String, Vec<String>>,
    /// Prices whose publisher received status 200, by symbol.
    pub acknowledged: BTreeMap<String, Vec<String>>,
    /// The same as `prices`, for tapes that existed only for a while. For example, a tape is lost
    /// when an older copy replaces the tape.
    #[serde(default)]
    pub lost: Vec<BTreeMap<String, Vec<String>>>,
}

/// The guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// No gap.
    L1,
    /// No duplicate.
    L2,
    /// Positions increase.
    L3,
    /// Ticks are as published.
    L4,
    /// The newest tick at the end.
    L5,
    /// Resets have a valid reason.
    L6,
    /// Newest values never go back.
    L8,
}

/// The first violation of a guarantee.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The violated guarantee.
    pub rule: Rule,
    /// The reader that saw the violation.
    pub reader: String,
    /// The index of the reader's entry.
    pub at: usize,
    /// A description of the violation.
    pub what: String,
    /// The entries around the violation.
    pub around: Vec<Entry>,
}

/// Counts of a successful check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// Number of ticks seen.
    pub ticks: u64,
    /// Number of connections.
    pub connections: u64,
    /// Number of streams that resumed without a break.
    pub resumed: u64,
    /// Number of resets.
    pub resets: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} broken: {}, entry {}: {}",
            self.rule, self.reader, self.at, self.what
        )?;
        self.around
            .iter()
            .try_for_each(|entry| writeln!(f, "    {:<34} {:?}", entry.id, entry.seen))
    }
}

/// Checks the logs of all readers against the tape.
///
/// # Errors
/// If a guarantee was violated: the first violation.
pub fn check(book: &Book, readers: &[Reader]) -> Result<Summary, Box<Violation>> {
    acknowledged(book)?;
    let mut summary = Summary::default();
    for reader in readers {
        Walk::new(book, reader).run(&mut summary)?;
    }
    Ok(summary)
}

/// Checks that the tape holds every acknowledged tick, in order.
fn acknowledged(book: &Book) -> Result<(), Box<Violation>> {
    for (symbol, prices) in &book.acknowledged {
        let mut on_tape = book.prices.get(symbol).into_iter().flatten();
        for price in prices {
            if !on_tape.any(|there| there == price) {
                let what = format!(
                    "{symbol} at {price} was acknowledged, but is not on the tape, or is out of order"
                );
                let reader = "publisher".to_owned();
                return Err(Box::new(Violation {
                    rule: Rule::L4,
                    reader,
                    at: 0,
                    what,
                    around: Vec::new(),
                }));
            }
        }
    }
    Ok(())
}

/// The state of the check at one of a reader's entries.
struct Walk<'a> {
    book: &'a Book,
    reader: &'a Reader,
    /// The last number of each symbol since the start or the last reset.
    last: HashMap<&'a str, u64>,
    /// The highest number of each symbol before a reset. Newest values must not go back below this
    /// number either.
    highest: HashMap<&'a str, u64>,
    position: Option<(&'a str, u64)>,
    /// The cursor of this connection, and whether any event arrived on the connection.
    cursor: Option<&'a str>,
    has_events: bool,
    /// The current symbols of the subscription, and whether the symbols changed since the last
    /// connection.
    symbols: &'a BTreeSet<String>,
    changed: bool,
    connected: bool,
    /// Whether this connection may repeat ticks of another connection.
    lenient: bool,
    /// Symbols that the reader subscribed to all the time since its cursor.
    unbroken: BTreeSet<&'a str>,
    /// Symbols that the server sends again.
    resent: BTreeSet<&'a str>,
    /// The highest number with which each symbol may continue after a change. Only for readers of
    /// every tick.
    next_due: HashMap<&'a str, u64>,
    /// The tapes that agree with this reader since the start or the last reset; 0 is the final
    /// tape.
    tapes: BTreeSet<usize>,
}

/// The suffix of ids in a changed stream that has not sent all newly requested symbols.
const PENDING: &str = ".____";

impl<'a> Walk<'a> {
    fn new(book: &'a Book, reader: &'a Reader) -> Self {
        let (last, highest, next_due) = (HashMap::new(), HashMap::new(), HashMap::new());
        let tapes = (0..=book.lost.len()).collect();
        let symbols = &reader.symbols;
        Self {
            book,
            reader,
            last,
            highest,
            position: None,
            cursor: None,
            has_events: false,
            symbols,
            changed: false,
            connected: false,
            lenient: false,
            unbroken: BTreeSet::new(),
            resent: BTreeSet::new(),
            next_due,
            tapes,
        }
    }

    /// Returns the tape with this number.
    fn tape(&self, number: usize) -> &'a BTreeMap<String, Vec<String>> {
        number
            .checked_sub(1)
            .map_or(&self.book.prices, |lost| &self.book.lost[lost])
    }

    fn run(mut self, summary: &mut Summary) -> Result<(), Box<Violation>> {
        for (at, entry) in self.reader.entries.iter().enumerate() {
            match &entry.seen {
                Seen::Connect(cursor) => {
                    summary.connections += 1;
                    (self.cursor, self.has_events) = (cursor.as_deref(), false);
                    let pending = cursor
                        .as_deref()
                        .is_some_and(|cursor| cursor.ends_with(PENDING));
                    let resumes = if self.reader.all {
                        Some(true)
                    } else {
                        self.resumes(at)
                    };
                    self.lenient = resumes.is_none();
                    if self.lenient {
                        (self.position, self.tapes) = (None, (0..=self.book.lost.len()).collect());
                    }
                    if cursor.is_none() || resumes == Some(false) {
                        // Without a cursor, a reader starts from nothing. A reader whose stream did
                        // not resume receives a snapshot and starts from nothing too.
                        self.start_over();
                        self.forget_other_tapes();
                    } else if std::mem::take(&mut self.changed) || pending {
                        if self.reader.all {
                            let unbroken = self
                                .last
                                .iter()
                                .filter(|(symbol, _)| self.unbroken.contains(*symbol));
                            self.next_due = unbroken.map(|(symbol, n)| (*symbol, n + 1)).collect();
                        }
                        let tapes = self.tapes.clone();
                        self.start_over();
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
                    self.unbroken.retain(|symbol| symbols.contains(*symbol));
                    if *away && !before.is_empty() {
                        // For symbols outside the cursor's subscription, the reader has not seen
                        // the ticks up to the cursor.
                        self.last.retain(|symbol, _| before.contains(*symbol));
                    }
                    // A connected reader receives the newest ticks of symbols that are new in the
                    // subscription.
                    for symbol in symbols.difference(before).filter(|_| self.connected) {
                        self.next_due.remove(symbol.as_str());
                        self.resent.insert(symbol.as_str());
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
                    let mut since =
                        reset.take_while(|entry| !matches!(entry.seen, Seen::Connect(_)));
                    if *resumed && since.any(|entry| matches!(entry.seen, Seen::Reset { .. })) {
                        return Err(self.broken(
                            Rule::L6,
                            at,
                            "the stream is reported as resumed after a reset",
                        ));
                    }
                }
                Seen::Lost => self.connected = false,
                Seen::Heartbeat | Seen::Bye { .. } => {}
            }
            self.has_events = true;
            if !entry.id.is_empty() && !entry.id.ends_with(PENDING) {
                self.unbroken = self.symbols.iter().map(String::as_str).collect();
            }
            self.check_position(at, entry)?;
        }
        self.healed()
    }

    /// Returns whether the connection that begins at this entry resumed. Returns `None` if ticks
    /// arrived but the connection ended before `ready`: the stream may have begun with a snapshot.
    fn resumes(&self, at: usize) -> Option<bool> {
        let after = self.reader.entries[at + 1..]
            .iter()
            .map(|entry| &entry.seen);
        let connection = after.take_while(|seen| !matches!(seen, Seen::Connect(_)));
        let mut has_ticks = false;
        for seen in connection {
            match seen {
                Seen::Ready { resumed } => return Some(*resumed),
                Seen::Tick { .. } => has_ticks = true,
                _ => {}
            }
        }
        (!has_ticks).then_some(true)
    }

    /// Clears the highest numbers if several tapes existed, because a replacement tape may be
    /// older.
    fn forget_other_tapes(&mut self) {
        if !self.book.lost.is_empty() {
            self.highest.clear();
        }
    }

    fn start_over(&mut self) {
        self.tapes = (0..=self.book.lost.len()).collect();
        for (symbol, n) in self.last.drain() {
            let highest = self.highest.entry(symbol).or_default();
            *highest = n.max(*highest);
        }
        self.position = None;
    }

    fn reset(&mut self, at: usize, reason: &str) -> Result<(), Box<Violation>> {
        let is_known = matches!(reason, "expired" | "epoch" | "invalid" | "lagging");
        if !is_known || self.has_events || self.cursor.is_none() {
            return Err(self.broken(Rule::L6, at, "the reset has no explanation"));
        }
        if reason == "expired" && !self.reader.all {
            return Err(self.broken(
                Rule::L6,
                at,
                "a reader of newest values needs no history, but the reset reason is expired",
            ));
        }
        self.start_over();
        self.next_due.clear();
        self.forget_other_tapes();
        Ok(())
    }

    fn tick(
        &mut self,
        at: usize,
        symbol: &'a str,
        n: u64,
        price: &str,
    ) -> Result<(), Box<Violation>> {
        let published = |tape: usize| {
            let prices = self.tape(tape).get(symbol)?;
            prices.get(usize::try_from(n).ok()?.checked_sub(1)?)
        };
        let tapes = self.tapes.iter().copied();
        let matching: BTreeSet<_> = tapes
            .filter(|tape| published(*tape).map(String::as_str) == Some(price))
            .collect();
        if matching.is_empty() {
            let what = format!(
                "{symbol} {n} arrived with price {price}, but the published price is {:?}",
                published(0)
            );
            return Err(self.broken(Rule::L4, at, &what));
        }
        self.tapes = matching;
        if !self.symbols.is_empty() && !self.symbols.contains(symbol) {
            return Err(self.broken(Rule::L4, at, "the symbol was not requested"));
        }
        if let Some(next_due) = self.next_due.remove(symbol)
            && n > next_due
        {
            return Err(self.broken(
                Rule::L1,
                at,
                &format!("{symbol} {n} arrived, but {next_due} was the next tick"),
            ));
        }
        let resent = self.resent.remove(symbol);
        match self.last.insert(symbol, n) {
            Some(_) if resent => {}
            Some(last) if self.lenient && (n == last || !self.book.lost.is_empty()) => {}
            Some(last) if n == last => {
                return Err(self.broken(Rule::L2, at, &format!("{symbol} {n} arrived twice")));
            }
            Some(last) if n < last => {
                let (rule, what) = (
                    if self.reader.all { Rule::L2 } else { Rule::L8 },
                    format!("{symbol} {n} arrived after {last}"),
                );
                return Err(self.broken(rule, at, &what));
            }
            Some(last) if self.reader.all && n != last + 1 => {
                return Err(self.broken(
                    Rule::L1,
                    at,
                    &format!("{symbol} {n} arrived after {last}"),
                ));
            }
            // After a reset, every tick may come again, but a newest value must not be older than
            // before.
            None if !self.reader.all
                && self.highest.get(symbol).is_some_and(|highest| n < *highest) =>
            {
                return Err(self.broken(Rule::L8, at, &format!("{symbol} went back to {n}")));
            }
            _ => {}
        }
        Ok(())
    }

    fn check_position(&mut self, at: usize, entry: &'a Entry) -> Result<(), Box<Violation>> {
        let Some((epoch, seq)) = entry.id.split_once('-') else {
            // Only an event before the first position may have no position.
            return match entry.seen {
                // The same is true after the tape no longer holds the position.
                Seen::Lost | Seen::Bye { .. } | Seen::Heartbeat => Ok(()),
                _ => Err(self.broken(Rule::L3, at, "the event has no position")),
            };
        };
        let seq = seq.split(['.', '_']).next().unwrap_or_default();
        let Ok(seq) = seq.parse() else {
            return Err(self.broken(Rule::L3, at, "the position of the event is not valid"));
        };
        let increases = match self.position {
            Some((last_epoch, last)) if last_epoch == epoch => match entry.seen {
                // The newest ticks of added symbols have the position of the change.
                Seen::Tick { .. } if !entry.id.ends_with(PENDING) => seq > last,
                _ => seq >= last,
            },
            // Another epoch of the tape begins with a reset, and the reset clears the position.
            Some(_) => false,
            None => true,
        };
        self.position = Some((epoch, seq));
        if increases {
            Ok(())
        } else {
            Err(self.broken(
                Rule::L3,
                at,
                "the position of the event is not after the previous position",
            ))
        }
    }

    /// Checks that a reader that was connected at the end has the newest price of every symbol in
    /// its subscription.
    fn healed(&self) -> Result<(), Box<Violation>> {
        if !self.reader.healed {
            return Ok(());
        }
        if !self.tapes.contains(&0) {
            return Err(self.broken(
                Rule::L5,
                self.reader.entries.len(),
                "the reader holds another tape",
            ));
        }
        for (symbol, prices) in &self.book.prices {
            let subscribed = self.symbols.is_empty() || self.symbols.contains(symbol);
            let last = self.last.get(symbol.as_str()).copied().unwrap_or_default();
            if subscribed && last != prices.len() as u64 {
                let what = format!(
                    "{symbol} ends at {last}, but {} is the newest",
                    prices.len()
                );
                return Err(self.broken(Rule::L5, self.reader.entries.len(), &what));
            }
        }
        Ok(())
    }

    fn broken(&self, rule: Rule, at: usize, what: &str) -> Box<Violation> {
        let entries = &self.reader.entries;
        let around = entries[at.saturating_sub(4)..entries.len().min(at + 3)].to_vec();
        Box::new(Violation {
            rule,
            reader: self.reader.name.clone(),
            at,
            what: what.to_owned(),
            around,
        })
    }
}

#[cfg(test)]
mod tests;
