//! Finds the names that an exchange refuses, if the exchange refuses a whole list because of one
//! bad name.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exchange::FeedEvent;
use crate::names::SymbolMap;
use crate::wire::excerpt;

/// Maximum number of names in one request.
const MAX_SYMBOLS_PER_REQUEST: usize = 100;

/// Lists of names to subscribe to, one list per request. A refused list is split in half until each
/// bad name is alone. The result outlives the connection, because an exchange may close a
/// connection after a bad request.
#[derive(Debug, Clone)]
pub(crate) struct Lists(Arc<Mutex<Vec<Vec<String>>>>);

/// The lists of one connection, requested one after the other.
#[derive(Debug)]
pub(crate) struct SubscriptionProbe {
    lists: Lists,
    waiting: VecDeque<Vec<String>>,
    asked: Option<Vec<String>>,
    /// Whether the exchange confirmed a list over this connection.
    given: bool,
}

impl Lists {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.map(str::to_owned).collect();
        Self(Arc::new(Mutex::new(
            names
                .chunks(MAX_SYMBOLS_PER_REQUEST)
                .map(<[String]>::to_vec)
                .collect(),
        )))
    }

    /// Starts the requests of a new connection.
    pub(crate) fn ask(&self) -> SubscriptionProbe {
        SubscriptionProbe {
            lists: self.clone(),
            waiting: self.with(|lists| lists.clone()).into(),
            asked: None,
            given: false,
        }
    }

    /// Splits a list, for this connection and for later connections.
    fn replace(&self, list: &[String], parts: &[Vec<String>]) {
        self.with(|lists| {
            if let Some(at) = lists.iter().position(|known| known == list) {
                lists.splice(at..=at, parts.iter().cloned());
            }
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut Vec<Vec<String>>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SubscriptionProbe {
    /// Returns the next list to request, if no request is pending.
    pub(crate) fn next(&mut self) -> Option<&[String]> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = self.waiting.pop_front();
        self.asked.as_deref()
    }

    /// Records that the pending request is confirmed, and returns its list.
    pub(crate) fn next_confirmed(&mut self) -> Option<Vec<String>> {
        let asked = self.asked.take();
        self.given |= asked.is_some();
        asked
    }

    /// Handles a refusal with the exchange's text and appends the resulting events. Returns whether
    /// more requests may follow.
    pub(crate) fn on_refusal(
        &mut self,
        says: &str,
        names: &SymbolMap,
        heard: &mut Vec<FeedEvent>,
    ) -> bool {
        let why = format!("the exchange refuses: {}", excerpt(says));
        match self.refused(says) {
            Err(()) => {
                heard.push(FeedEvent::Failed(why));
                false
            }
            Ok(name) => {
                let symbol = name.and_then(|name| names.symbol(&name));
                heard.extend(symbol.map(|symbol| FeedEvent::Refused { symbol, why }));
                true
            }
        }
    }

    /// Handles the refusal of the pending list. Returns the name if the list has a single name.
    ///
    /// Returns `Err` if the refusal is not about a name: no request is pending, or the exchange
    /// refuses everything. That is so if the exchange confirmed no list and does not name the
    /// symbol of a single-name list.
    fn refused(&mut self, says: &str) -> Result<Option<String>, ()> {
        let mut list = self.asked.take().ok_or(())?;
        if list.len() == 1 && !self.given && !says.contains(&list[0]) {
            return Err(());
        }
        if list.len() == 1 {
            self.lists.replace(&list, &[]);
            return Ok(list.pop());
        }
        let parts = [
            list[..list.len() / 2].to_vec(),
            list[list.len() / 2..].to_vec(),
        ];
        self.lists.replace(&list, &parts);
        let [first, second] = parts;
        self.waiting.push_front(second);
        self.waiting.push_front(first);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subscribes to an exchange that refuses every name with an `x`. Returns the confirmed names,
    /// the refused names and the number of messages.
    fn ask(lists: &Lists, hang_up: bool) -> (Vec<String>, Vec<String>, usize) {
        let (mut given, mut refused, mut messages) = (Vec::new(), Vec::new(), 0);
        let mut asking = lists.ask();
        while let Some(list) = asking.next() {
            messages += 1;
            let list = list.to_vec();
            if list.iter().any(|name| name.contains('x')) {
                let bad = list.iter().find(|name| name.contains('x')).unwrap();
                refused.extend(asking.refused(bad).unwrap());
                if hang_up {
                    break;
                }
            } else {
                given.extend(list);
                asking.next_confirmed();
            }
        }
        (given, refused, messages)
    }

    fn names() -> Vec<String> {
        (0..250)
            .map(|i| {
                if i % 60 == 7 {
                    format!("x{i}")
                } else {
                    format!("A{i}")
                }
            })
            .collect()
    }

    #[test]
    fn bad_names_are_found_and_all_others_are_subscribed() {
        let names = names();
        let lists = Lists::new(names.iter().map(String::as_str));
        let (given, refused, messages) = ask(&lists, false);
        assert_eq!((given.len(), refused.len()), (245, 5));
        assert!(messages < 80, "{messages}");
        let (given, refused, _) = ask(&lists, false);
        assert_eq!(
            (given.len(), refused.len()),
            (245, 0),
            "it is not asked for what was refused again"
        );
    }

    #[test]
    fn a_refusal_before_any_confirmation_is_not_blamed_on_a_name() {
        let lists = Lists::new(["A", "B"].into_iter());
        let mut asking = lists.ask();
        assert_eq!(asking.next().unwrap().len(), 2);
        assert_eq!(asking.refused("try again later"), Ok(None));
        assert_eq!(asking.next().unwrap(), ["A"]);
        assert_eq!(asking.refused("try again later"), Err(()));
        let mut asking = lists.ask();
        asking.next();
        asking.next_confirmed();
        assert_eq!(asking.next().unwrap(), ["B"], "both are asked for again");
        assert_eq!(
            asking.refused("no"),
            Ok(Some("B".to_owned())),
            "others are given"
        );
    }

    #[test]
    fn bad_names_are_found_even_if_each_one_costs_a_connection() {
        let names = names();
        let lists = Lists::new(names.iter().map(String::as_str));
        let found = (0..200).find(|_| ask(&lists, true).0.len() == 245);
        assert!(
            found.is_some_and(|connections| connections < 50),
            "{found:?}"
        );
    }
}
