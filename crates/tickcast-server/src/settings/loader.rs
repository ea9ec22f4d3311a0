//! Reading the settings again, while the server runs.

use super::{Settings, SettingsError};

/// Reads the settings, as often as it is asked to.
pub(crate) type Loader = Box<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;
