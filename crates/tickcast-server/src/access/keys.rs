//! The keys that tokens of readers are signed with.

use futures_util::future::join_all;
use tickcast::Time;
use tickcast::access::Viewer;

use super::issuer::IssuerError;
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
        let issuers = own.chain(self.sets.iter().map(|set| set.issuer().name()));
        issuers.map(move |issuer| subject(issuer, sub))
    }

    /// Checks a token, see [`verify`]. Before the sets are loaded, an unknown key may be one of theirs.
    pub(crate) fn verify(&self, token: &str, times: (Time, Time)) -> Result<Viewer, TokenError> {
        let sets: Vec<_> = self.sets.iter().map(KeySet::keys).collect();
        let keys = self
            .own
            .iter()
            .chain(sets.iter().flat_map(|keys| keys.iter()));
        match verify(keys, token, times) {
            Err(TokenError::Unknown(algorithm))
                if self.sets.iter().any(|set| set.lacks(algorithm)) =>
            {
                Err(TokenError::NotLoaded)
            }
            verified => verified,
        }
    }

    /// Checks a token like [`verify`](Self::verify). If its key is not known, the issuers are asked
    /// for new keys, at most once a minute. In between, nobody can say that the key is none of
    /// theirs.
    pub(super) async fn verify_or_load(
        &self,
        token: &str,
        times: (Time, Time),
    ) -> Result<Viewer, TokenError> {
        let algorithm = match self.verify(token, times) {
            Err(TokenError::Unknown(algorithm)) => algorithm,
            verified => return verified,
        };
        let sets = self.sets.iter().filter(|set| set.may_have(algorithm));
        let fresh = join_all(sets.map(KeySet::refresh)).await;
        match self.verify(token, times) {
            Err(TokenError::Unknown(_)) if fresh.contains(&false) => Err(TokenError::NotLoaded),
            verified => verified,
        }
    }

    /// Loads all sets once. Returns the addresses of those that could not be loaded, and why.
    pub(crate) async fn load(&self) -> Vec<(String, IssuerError)> {
        let load = async |set: &KeySet| {
            let loaded = set.request(false).await;
            Some((set.issuer().shown(), loaded.err()?))
        };
        let failed = join_all(self.sets.iter().map(load)).await;
        failed.into_iter().flatten().collect()
    }
}
