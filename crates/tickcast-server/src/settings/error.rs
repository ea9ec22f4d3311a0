//! What is wrong with the settings.

/// What is wrong with the settings, in one line that names the key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SettingsError(pub(crate) String);
