//! Which viewers may no longer read, although their permissions have not expired.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::access::Viewer;

/// A rule that says whether a viewer may no longer read.
pub(crate) type Rule = dyn Fn(&Viewer) -> bool + Send + Sync;

/// The current rule. All markets of a hub share it.
#[derive(Clone, Default)]
pub(crate) struct Revocation(Arc<RwLock<Option<Arc<Rule>>>>);

impl Revocation {
    /// Replaces the rule.
    pub(crate) fn set(&self, rule: Arc<Rule>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(rule);
    }

    /// Checks whether a viewer may no longer read.
    pub(crate) fn concerns(&self, viewer: &Viewer) -> bool {
        let rule = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rule.as_ref().is_some_and(|rule| rule(viewer))
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revocation")
    }
}
