//! The resources of the server, as counted by the OS and as reported by the server.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http::get;

/// Maximum time until the server reports its number of streams.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum growth of resident memory at rest: a tenth, plus the reserve of an allocator.
const MAX_MEMORY_GROWTH: (u64, u64) = (10, 20 << 20);

/// Maximum number of additional threads. The server starts these threads on first use: two for
/// answers, one for filters and one for history.
const MAX_NEW_THREADS: u64 = 4;

/// Maximum number of additional descriptors: the descriptors of the status request itself.
const MAX_NEW_DESCRIPTORS: u64 = 2;

/// The server's process.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// Creates a handle of the process with this id.
    #[must_use]
    pub const fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// Returns the resident memory in bytes.
    ///
    /// # Errors
    ///
    /// If the process does not exist.
    pub fn resident(self) -> Result<u64> {
        Ok(self.status("VmRSS:")? << 10)
    }

    /// Returns the maximum resident memory since the last [`Self::reset_peak`], in bytes.
    ///
    /// # Errors
    ///
    /// If the process does not exist.
    pub fn peak(self) -> Result<u64> {
        Ok(self.status("VmHWM:")? << 10)
    }

    /// Resets the maximum of [`Self::peak`].
    ///
    /// # Errors
    ///
    /// If the process does not exist, or belongs to another user.
    pub fn reset_peak(self) -> Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5")
            .context("the peak cannot be reset")
    }

    /// Sends a signal to the process, such as `-STOP`.
    ///
    /// # Errors
    ///
    /// If the signal cannot be sent.
    pub fn signal(self, signal: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args([signal, &self.0.to_string()])
            .status()?;
        ensure!(sent.success(), "{signal} cannot be sent");
        Ok(())
    }

    fn descriptors(self) -> Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.0))?.count() as u64)
    }

    fn status(self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .context(name.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// The resources of a server at one moment.
#[derive(Debug, Clone, Copy)]
pub struct ResourceUsage {
    /// Number of open streams.
    pub streams: u64,
    /// Number of threads.
    pub threads: u64,
    /// Number of open files and sockets.
    pub descriptors: u64,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl ResourceUsage {
    /// Reads the current resources.
    ///
    /// # Errors
    ///
    /// If the server does not answer within two seconds.
    pub fn of(process: Process, address: SocketAddr) -> Result<Self> {
        let (status, body) = get(address, "/v1/status", STATUS_TIMEOUT)?;
        ensure!(status == 200, "/v1/status was answered with {status}");
        let status: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(Self {
            streams: status["streams"]
                .as_u64()
                .context("/v1/status has no number of streams")?,
            threads: process.status("Threads:")?,
            descriptors: process.descriptors()?,
            resident: process.resident()?,
        })
    }

    /// Returns the resources that exceed `before` by more than the allowed growth. The list is
    /// empty if the server is at rest.
    #[must_use]
    pub fn exceeding(&self, before: &Self) -> Vec<String> {
        let memory = before.resident + before.resident / MAX_MEMORY_GROWTH.0 + MAX_MEMORY_GROWTH.1;
        let all = [
            ("streams", self.streams, before.streams),
            ("threads", self.threads, before.threads + MAX_NEW_THREADS),
            (
                "descriptors",
                self.descriptors,
                before.descriptors + MAX_NEW_DESCRIPTORS,
            ),
            ("bytes", self.resident, memory),
        ];
        let exceeding = all.into_iter().filter(|(_, now, max)| now > max);
        exceeding
            .map(|(what, now, max)| format!("{now} {what}, at most {max} at rest"))
            .collect()
    }
}
