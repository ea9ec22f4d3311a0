//! The end of the program. This is the only module that maps errors to exit codes.

use std::process::ExitCode;

use crate::settings::SettingsError;

/// Reason for an early end of the program.
#[derive(Debug)]
pub(crate) enum CliError {
    /// Wrong arguments or wrong settings: exit code 2.
    Usage(String),
    /// A message of clap, in clap's own layout.
    Clap(clap::Error),
    /// Failed work: exit code 1.
    Work(anyhow::Error),
}

impl CliError {
    /// Prints the error on standard error, in one line.
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
