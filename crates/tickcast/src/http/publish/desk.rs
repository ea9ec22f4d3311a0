//! The state of the publish routes: the shared publisher and the named publishers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::IdempotencyKeys;
use crate::http::Problem;
use crate::http::query::Query;
use crate::publisher::Publisher;

/// Maximum number of publishers with a name. Each named publisher is a source in the metrics and in
/// the statuses that readers receive.
const MAX_NAMED_SOURCES: usize = 64;

/// Maximum length of a publisher's name, in bytes.
const MAX_NAME_LEN: usize = 32;

/// The parameter that names a publisher.
const SOURCE: &str = "source";

/// The shared state of the publish routes.
pub(in crate::http) struct PublishState {
    pub(super) publisher: Publisher,
    pub(super) keys: IdempotencyKeys,
    named_sources: Mutex<BTreeMap<String, Publisher>>,
}

impl PublishState {
    pub(in crate::http) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            keys: IdempotencyKeys::default(),
            named_sources: Mutex::default(),
        }
    }

    /// Returns the publisher that the query names. A named publisher is a separate source, which
    /// becomes stale independently.
    pub(super) fn publisher(&self, query: Option<&str>) -> Result<Publisher, Problem> {
        let query = Query::parse(query, &[SOURCE])?;
        let Some(name) = query.get(SOURCE) else {
            return Ok(self.publisher.clone());
        };
        let sound = (1..=MAX_NAME_LEN).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !sound {
            let rule = format!("expected 1 to {MAX_NAME_LEN} of A-Z a-z 0-9 . _ -");
            return Err(Problem::parameter(SOURCE, rule));
        }
        let mut named = self
            .named_sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = named.get(name) {
            return Ok(publisher.clone());
        }
        if named.len() == MAX_NAMED_SOURCES {
            return Err(Problem::parameter(
                SOURCE,
                format!("{MAX_NAMED_SOURCES} names are in use, which is the limit"),
            ));
        }
        let publisher = self.publisher.named(name);
        named.insert(name.to_owned(), publisher.clone());
        Ok(publisher)
    }
}
