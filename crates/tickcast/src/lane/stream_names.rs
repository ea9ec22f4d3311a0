//! The resumable streams of a lane by name.

use std::collections::HashMap;

use super::Key;
use crate::subscription::StreamId;

/// The resumable streams of a lane by name. The readers of a prepared stream share its name.
#[derive(Default)]
pub(super) struct StreamNames {
    own: HashMap<StreamId, Key>,
    shared: HashMap<StreamId, Vec<Key>>,
}

impl StreamNames {
    /// Adds a stream.
    pub(super) fn insert(&mut self, id: StreamId, key: Key, is_shared: bool) {
        match is_shared {
            true => self.shared.entry(id).or_default().push(key),
            false => _ = self.own.insert(id, key),
        }
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: StreamId, key: Key, is_shared: bool) {
        if !is_shared {
            self.own.remove(&id);
            return;
        }
        if let Some(keys) = self.shared.get_mut(&id) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                self.shared.remove(&id);
            }
        }
    }

    /// Returns the stream with a name of its own.
    pub(super) fn own(&self, id: StreamId) -> Option<Key> {
        self.own.get(&id).copied()
    }

    /// Returns all streams with a name.
    pub(super) fn all(&self, id: StreamId) -> Vec<Key> {
        let shared = self.shared.get(&id).into_iter().flatten();
        self.own
            .get(&id)
            .into_iter()
            .chain(shared)
            .copied()
            .collect()
    }

    /// Returns all streams.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.own
            .values()
            .chain(self.shared.values().flatten())
            .copied()
    }
}
