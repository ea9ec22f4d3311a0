//! The measured programs, and the measurement of one server under one load.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::cases::{Case, ServerKind};
use super::servers::{self, Server, pinned};
use crate::workspace::{build_dist, root, target};

/// The time between two ticks of a load of single ticks.
const SINGLE_TICKS: Duration = Duration::from_secs(1);

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

    /// Starts each server from its folder of programs on one core, and its load on the other core.
    /// Returns the reports of the loads.
    pub(super) fn measure(
        &self,
        case: &Case,
        servers: &[(ServerKind, &Path)],
    ) -> Result<Vec<Value>> {
        let name = |kind: &ServerKind| format!("{}, {kind:?}", case.name);
        let starts = servers.iter().map(|(kind, programs)| {
            let server = servers::start(*kind, case.server, programs, &self.folder);
            server.with_context(|| name(kind))
        });
        if case.is_measured_together() {
            let running: Vec<_> = starts.collect::<Result<_>>()?;
            let named = self.reports(case, &running)?.into_iter().zip(servers);
            return named
                .map(|(report, (kind, _))| report.with_context(|| name(kind)))
                .collect();
        }
        let named = starts.zip(servers);
        named
            .map(|(server, (kind, _))| self.report(case, &server?).with_context(|| name(kind)))
            .collect()
    }

    /// Puts the servers under load at the same time. The ticks of one are due between those of the
    /// others.
    fn reports(&self, case: &Case, servers: &[Server]) -> Result<Vec<Result<Value>>> {
        let mut loads = Vec::new();
        for server in servers {
            let mut load = self.load(server);
            load.args(case.load.split(' '));
            load.stdout(Stdio::piped()).stderr(Stdio::piped());
            loads.push(load.spawn()?);
            std::thread::sleep(SINGLE_TICKS / u32::try_from(servers.len())?);
        }
        let loads = loads.into_iter();
        Ok(loads.map(|load| read(&load.wait_with_output()?)).collect())
    }

    /// Puts a server under load. Returns the report of the load.
    pub(super) fn report(&self, case: &Case, server: &Server) -> Result<Value> {
        let mut load = self.load(server);
        read(&load.args(case.load.split(' ')).output()?)
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

/// Reads the report of a load.
fn read(output: &Output) -> Result<Value> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
