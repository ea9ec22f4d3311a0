//! What the server has, as the system counts it, and as it says itself.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http::get;

/// How long the server may take to say how many streams it has.
const PATIENCE: Duration = Duration::from_secs(2);

/// By how much resident memory may have grown where all is at rest: a tenth, and what an allocator keeps.
const MORE_MEMORY: (u64, u64) = (10, 20 << 20);

/// How many more threads there may be: those that are started when there is first something for them to do, two for answers, one for
/// filters and one for history.
const MORE_THREADS: u64 = 4;

/// How many more descriptors there may be: those of whoever is asking.
const MORE_DESCRIPTORS: u64 = 2;

/// The server's process.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// The process with this id.
    #[must_use]
    pub const fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn resident(self) -> Result<u64> {
        Ok(self.status("VmRSS:")? << 10)
    }

    /// The most resident memory since the last [`Self::forget_peak`], in bytes.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn peak(self) -> Result<u64> {
        Ok(self.status("VmHWM:")? << 10)
    }

    /// Lets [`Self::peak`] begin anew.
    ///
    /// # Errors
    ///
    /// If the process is gone, or someone else's.
    pub fn forget_peak(self) -> Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").context("the peak cannot be reset")
    }

    /// Sends it a signal, such as `-STOP`.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub fn signal(self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.0.to_string()]).status()?;
        ensure!(sent.success(), "{signal} cannot be sent");
        Ok(())
    }

    fn descriptors(self) -> Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.0))?.count() as u64)
    }

    fn status(self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// What a server has at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Open streams.
    pub streams: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub descriptors: u64,
    /// Resident memory, in bytes.
    pub resident: u64,
}

impl Standing {
    /// What it has now.
    ///
    /// # Errors
    ///
    /// If the server does not answer within two seconds.
    pub fn of(process: Process, address: SocketAddr) -> Result<Self> {
        let (status, body) = get(address, "/v1/status", PATIENCE)?;
        ensure!(status == 200, "/v1/status is answered {status}");
        let status: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(Self {
            streams: status["streams"].as_u64().context("no number of streams")?,
            threads: process.status("Threads:")?,
            descriptors: process.descriptors()?,
            resident: process.resident()?,
        })
    }

    /// What it has more than `before`, as far as that is too much; nothing where it is back at rest.
    #[must_use]
    pub fn beyond(&self, before: &Self) -> Vec<String> {
        let memory = before.resident + before.resident / MORE_MEMORY.0 + MORE_MEMORY.1;
        let all = [
            ("streams", self.streams, before.streams),
            ("threads", self.threads, before.threads + MORE_THREADS),
            ("descriptors", self.descriptors, before.descriptors + MORE_DESCRIPTORS),
            ("bytes", self.resident, memory),
        ];
        let beyond = all.into_iter().filter(|(_, now, most)| now > most);
        beyond.map(|(what, now, most)| format!("{now} {what}, {most} at rest")).collect()
    }
}
