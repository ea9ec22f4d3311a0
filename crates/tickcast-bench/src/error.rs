//! Reasons why a benchmark failed.

use std::io;

/// Reason why a benchmark has no report. Returned by [`run`](crate::run).
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An option is invalid.
    #[error("{name} {problem}")]
    Option {
        /// Name of the field of [`Options`](crate::Options).
        name: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// A connection to the server failed.
    #[error("{task}")]
    Connection {
        /// What the benchmark could not do.
        task: String,
        /// Reason of the operating system.
        source: io::Error,
    },
    /// The operating system refused another operation. Contains its error.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The usage of the process of [`Options::pid`](crate::Options::pid) is not available: there is
    /// no such process, or the system is not Linux. Contains the process id.
    #[error("pid {0}: no such process, or this system does not report the usage of processes")]
    Process(u32),
    /// The server did not behave as expected, or the measurement could not be completed. Contains
    /// the reason.
    #[error("{0}")]
    Failed(String),
}

/// Adds what was tried to an error of the operating system.
pub(crate) trait Context<T> {
    /// Returns the value, or an error with this task.
    fn context(self, task: impl Into<String>) -> Result<T, BenchError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, task: impl Into<String>) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Connection {
            task: task.into(),
            source,
        })
    }
}
