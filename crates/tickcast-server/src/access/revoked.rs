//! Tokens and readers that may no longer read, although their tokens have not expired.

use std::collections::HashSet;

use tickcast::Hub;

use super::key::issuer_and_sub;

/// Maximum number of revoked tokens, and of revoked readers.
const MAX_REVOKED: usize = 10_000;

/// The revoked tokens and readers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked {
    tokens: HashSet<String>,
    subs: HashSet<String>,
}

impl Revoked {
    /// Reads the lists of `jti` and `sub`. A reader of any issuer may be meant.
    pub(super) fn parse(tokens: &[String], subs: &[String]) -> Result<Self, String> {
        for (name, list) in [("revoked_tokens", tokens), ("revoked_subjects", subs)] {
            if list.len() > MAX_REVOKED {
                let count = list.len();
                return Err(format!(
                    "access.{name}: {count} are given, the limit is {MAX_REVOKED}"
                ));
            }
            if list.iter().any(String::is_empty) {
                return Err(format!("access.{name}: a name is empty"));
            }
        }
        Ok(Self {
            tokens: tokens.iter().cloned().collect(),
            subs: subs.iter().cloned().collect(),
        })
    }

    /// Revokes these tokens and readers, and no others. Their streams end.
    pub(crate) fn apply(&self, hub: &Hub) {
        let Self { tokens, subs } = self.clone();
        hub.revoke(move |viewer| {
            let (_, sub) = issuer_and_sub(viewer.subject_name());
            tokens.contains(viewer.token_name()) || subs.contains(sub)
        });
    }
}
