//! The keys that tokens of readers are signed with.

use futures_util::future::join_all;
use tickcast::Time;
use tickcast::access::Viewer;

use super::key::{Key, TokenError, subject, verify};
use super::key_set::KeySet;

/// All keys: those of the configuration, and those of issuers. A token has to be signed with one of
/// them.
pub(crate) struct Keys {
    own: Vec<Key>,
    sets: Vec<KeySet>,
}

impl Keys {
    pub(super) const fn new(own: Vec<Key>, sets: Vec<KeySet>) -> Self {
        Self { own, sets }
    }

    /// Returns the sets of keys that have to be loaded.
    pub(super) fn sets(&self) -> &[KeySet] {
        &self.sets
    }

    /// Returns the names of a reader with this `sub`, of any issuer.
    pub(super) fn subjects(&self, sub: &str) -> impl Iterator<Item = String> {
        let own = self.own.iter().map(Key::issuer);
        let issuers = own.chain(self.sets.iter().map(KeySet::issuer));
        issuers.map(move |issuer| subject(issuer, sub))
    }

    /// Checks a token, see [`verify`]. Before the sets are loaded, an unknown key may be one of theirs.
    pub(crate) fn verify(&self, token: &str, times: (Time, Time)) -> Result<Viewer, TokenError> {
        let sets: Vec<_> = self.sets.iter().map(KeySet::keys).collect();
        let keys = self
            .own
            .iter()
            .chain(sets.iter().flat_map(|keys| keys.iter()));
        let verified = verify(keys, token, times);
        let missing = self.sets.iter().any(|set| !set.is_loaded());
        match verified {
            Err(TokenError::Unknown) if missing => Err(TokenError::NoKeys),
            verified => verified,
        }
    }

    /// Loads the sets, unless they were asked for a moment ago. Returns whether one was loaded. Why one
    /// cannot be loaded is in the log.
    pub(crate) async fn load(&self) -> bool {
        let loaded = join_all(self.sets.iter().map(KeySet::refresh)).await;
        loaded.contains(&true)
    }

    /// Checks a token like [`verify`](Self::verify). If its key is not known, the sets are loaded
    /// again, at most once a minute.
    pub(super) async fn verify_or_load(
        &self,
        token: &str,
        times: (Time, Time),
    ) -> Result<Viewer, TokenError> {
        let verified = self.verify(token, times);
        if verified != Err(TokenError::Unknown) {
            return verified;
        }
        match self.load().await {
            true => self.verify(token, times),
            false => verified,
        }
    }
}
