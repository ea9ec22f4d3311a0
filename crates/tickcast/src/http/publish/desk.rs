//! The state of the publish routes: the shared publisher and the named publishers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;

use super::IdempotencyKeys;
use crate::access::Grant;
use crate::http::Problem;
use crate::http::query::Query;
use crate::publisher::Publisher;
use crate::source_name::SourceName;

/// Maximum number of publishers with a name. Each named publisher is a source in the metrics and in
/// the statuses that readers receive.
const MAX_NAMED_SOURCES: usize = 64;

/// The parameter that names a publisher.
const SOURCE: &str = "source";

/// The shared state of the publish routes.
pub(in crate::http) struct PublishState {
    pub(super) publisher: Publisher,
    pub(super) keys: IdempotencyKeys,
    named_sources: Mutex<BTreeMap<SourceName, Publisher>>,
    /// The publishers with a grant. They are few: somebody has configured them.
    granted: Mutex<BTreeMap<SourceName, Publisher>>,
}

impl PublishState {
    pub(in crate::http) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            keys: IdempotencyKeys::default(),
            named_sources: Mutex::default(),
            granted: Mutex::default(),
        }
    }

    /// Returns the publisher of a request: the one of its grant, or the one that the query names. A
    /// named publisher is a separate source, which becomes stale independently.
    pub(super) fn publisher(
        &self,
        query: Option<&str>,
        grant: Option<&Grant>,
    ) -> Result<Publisher, Problem> {
        let query = Query::parse(query, &[SOURCE])?;
        let wanted = query.get(SOURCE).map(str::parse::<SourceName>).transpose();
        let wanted = wanted.map_err(|error| Problem::parameter(SOURCE, error))?;
        let Some(granted) = grant.map(Grant::name) else {
            return match wanted {
                None => Ok(self.publisher.clone()),
                Some(name) => self.named(&self.named_sources, name, MAX_NAMED_SOURCES),
            };
        };
        if wanted.is_some_and(|wanted| wanted != *granted) {
            let detail = format!("{SOURCE}: you may publish only as {granted}");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail).with("parameter", SOURCE));
        }
        self.named(&self.granted, granted.clone(), usize::MAX)
    }

    /// Returns the publisher with this name. A new name must be among the first `most`.
    fn named(
        &self,
        named: &Mutex<BTreeMap<SourceName, Publisher>>,
        name: SourceName,
        most: usize,
    ) -> Result<Publisher, Problem> {
        let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = named.get(&name) {
            return Ok(publisher.clone());
        }
        if named.len() >= most {
            return Err(Problem::parameter(
                SOURCE,
                format!("{most} names are in use, which is the limit"),
            ));
        }
        let publisher = self.publisher.named(name.as_str());
        named.insert(name, publisher.clone());
        Ok(publisher)
    }
}
