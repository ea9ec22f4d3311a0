//! What the program ends with. The one place that maps errors to exit codes.

use std::process::ExitCode;

use crate::settings::SettingsError;

/// Why the program ends early.
#[derive(Debug)]
pub(crate) enum CliError {
    /// It was called or configured wrongly: exit code 2.
    Usage(String),
    /// What clap has to say, in its own layout.
    Clap(clap::Error),
    /// It could not do its work: exit code 1.
    Work(anyhow::Error),
}

impl CliError {
    /// Says so on standard error, in one line.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(message) => {
                eprintln!("tickcast: {message}");
                ExitCode::from(2)
            }
            Self::Clap(error) => error.exit(),
            Self::Work(error) => {
                eprintln!("tickcast: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl From<clap::Error> for CliError {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::Work(error)
    }
}
