//! The type of a function that loads the settings, for reloads while the server runs.

use super::{Settings, SettingsError};

/// A function that loads the settings. Each call reads them again.
pub(crate) type Loader = Box<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;
