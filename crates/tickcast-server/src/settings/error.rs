//! The error type of the settings.

/// An error in the settings, as one line that names the key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SettingsError(pub(crate) String);
