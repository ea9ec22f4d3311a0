//! Tokens and readers that may no longer read, although their tokens have not expired.

use std::collections::HashSet;

use tickcast::Hub;

use super::keys::Keys;

/// Maximum number of revoked tokens, and of revoked readers.
const MAX_REVOKED: usize = 10_000;

/// The revoked tokens and readers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked {
    tokens: HashSet<String>,
    subjects: HashSet<String>,
}

impl Revoked {
    /// Reads the lists of `jti` and `sub`. A reader of any issuer of `keys` may be meant.
    pub(super) fn parse(tokens: &[String], subs: &[String], keys: &Keys) -> Result<Self, String> {
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
            subjects: subs.iter().flat_map(|sub| keys.subjects(sub)).collect(),
        })
    }

    /// Revokes these tokens and readers, and no others. Their streams end.
    pub(crate) fn apply(self, hub: &Hub) {
        let Self { tokens, subjects } = self;
        hub.revoke(move |viewer| {
            tokens.contains(viewer.token_name()) || subjects.contains(viewer.subject_name())
        });
    }
}
