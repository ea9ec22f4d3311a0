//! The measured programs, and the measurement of one server under one load.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use super::cases::{Case, ServerKind};
use super::servers::{self, Server, pinned};
use crate::workspace::{build_dist, root, target};

/// The measured programs, and the folder for the files of their servers.
pub(super) struct Runner {
    /// The folder of this tree's programs.
    pub(super) programs: PathBuf,
    pub(super) folder: PathBuf,
    /// Whether nchan is installed and can be measured.
    pub(super) nchan: bool,
    /// Whether the server of the crate `durable-streams` is installed.
    pub(super) durable_streams: bool,
}

impl Runner {
    /// Builds the measured programs, all in the same way.
    pub(super) fn build() -> Result<Self> {
        std::env::set_current_dir(root()?)?;
        Self::of(build_dist(&["tickcast-server", "peers"])?)
    }

    /// Measures the programs of a folder.
    pub(super) fn of(programs: PathBuf) -> Result<Self> {
        let folder = target()?.join("bench");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            programs,
            folder,
            nchan: false,
            durable_streams: false,
        })
    }

    /// Returns the servers of this case that can be measured.
    pub(super) fn measurable(&self, case: &Case) -> impl Iterator<Item = ServerKind> {
        let (nchan, durable_streams) = (self.nchan, self.durable_streams);
        case.servers.iter().copied().filter(move |kind| match kind {
            ServerKind::Nchan => nchan,
            ServerKind::DurableStreams => durable_streams,
            _ => true,
        })
    }

    /// Starts the server from the folder `programs` on one core, and the load on the other core.
    /// Returns the report of the load.
    pub(super) fn measure(&self, case: &Case, kind: ServerKind, programs: &Path) -> Result<Value> {
        let server = servers::start(kind, case.server, programs, &self.folder)?;
        self.report(case, &server)
    }

    /// Puts a server under load. Returns the report of the load.
    pub(super) fn report(&self, case: &Case, server: &Server) -> Result<Value> {
        let mut load = self.load(server);
        let output = load.args(case.load.split(' ')).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Returns the command that puts a server under load, from the second core.
    fn load(&self, server: &Server) -> Command {
        let mut command = pinned(1, Path::new(&self.programs).join("tickcast").as_path());
        command
            .args(["bench", "--json", "--pid", &server.pid().to_string()])
            .args(&server.arguments);
        command
    }
}
