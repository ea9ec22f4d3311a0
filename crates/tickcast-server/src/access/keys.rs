//! The keys that tokens of readers are signed with.

use futures_util::future::join_all;
use tickcast::Time;
use tickcast::access::Viewer;

use super::issuer::IssuerError;
use super::key::{Key, KeyName, TokenError, UnverifiedTimes, verify};
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

    /// Checks a token, see [`verify`]. Before the sets are loaded, an unknown key may be one of theirs.
    pub(crate) fn verify(&self, token: &str, times: (Time, Time)) -> Result<Viewer, TokenError> {
        let sets: Vec<_> = self.sets.iter().map(KeySet::keys).collect();
        let keys = self
            .own
            .iter()
            .chain(sets.iter().flat_map(|keys| keys.iter()));
        verify(keys, token, times).map_err(|error| match error {
            TokenError::Unknown(name) if self.issuers_of(&name).any(|set| !set.is_loaded()) => {
                TokenError::NotLoaded(name)
            }
            error => error,
        })
    }

    /// Checks a token like [`verify`](Self::verify). If its key is not known, the issuers are asked
    /// for new keys, at most once a minute. In between, the key may be a new one, unless the
    /// token is older than the keys.
    pub(super) async fn verify_or_load(
        &self,
        token: &str,
        times: (Time, Time),
    ) -> Result<Viewer, TokenError> {
        let verified = self.verify(token, times);
        let Err(TokenError::Unknown(name) | TokenError::NotLoaded(name)) = &verified else {
            return verified;
        };
        let unverified = UnverifiedTimes::of(token);
        if unverified.have_passed(times.0) {
            return Err(TokenError::Expired);
        }
        // A set without its first keys is loaded again and again anyway.
        let sets: Vec<_> = self
            .issuers_of(name)
            .filter(|set| set.is_loaded())
            .collect();
        if sets.is_empty() {
            return verified;
        }
        let fresh = join_all(sets.iter().map(|set| set.refresh())).await;
        let is_current =
            |(set, fresh): (&&KeySet, bool)| fresh || unverified.are_before(set.loaded_at());
        match self.verify(token, times) {
            Err(TokenError::Unknown(name)) if !sets.iter().zip(fresh).all(is_current) => {
                Err(TokenError::NotLoaded(name))
            }
            verified => verified,
        }
    }

    /// Returns the sets of issuers that may have a key with this name.
    fn issuers_of(&self, name: &KeyName) -> impl Iterator<Item = &KeySet> {
        self.sets.iter().filter(|set| set.may_have(name))
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
