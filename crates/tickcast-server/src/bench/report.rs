//! The results of a benchmark, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::usage::Usage;

/// The results of a benchmark. Times are in milliseconds unless the name says otherwise. Memory is in bytes.
#[derive(Debug, Serialize)]
#[serde(tag = "case", rename_all = "snake_case")]
pub(super) enum Report {
    Streams(Streams),
    Flood(Flood),
    Churn(Churn),
}

/// Ticks that the server sent to streams.
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    pub(super) streams: usize,
    pub(super) stalled: usize,
    pub(super) symbols: u64,
    /// Ticks published per second.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// Ticks received within the window. The next field is the same number per second.
    pub(super) delivered: u64,
    pub(super) delivered_per_s: f64,
    /// Number of ticks published within the window that the streams should have received. The next field
    /// counts the missing ones.
    pub(super) expected: u64,
    pub(super) missing: u64,
    pub(super) disordered: u64,
    /// Whether the server accepted ticks more slowly than they were due.
    pub(super) overrun: bool,
    /// Streams that the server ended. The next field counts the stalled streams that the server closed for
    /// not reading.
    pub(super) lost: u64,
    pub(super) cut: u64,
    pub(super) latency: Option<Quantiles>,
    pub(super) server: Option<ServerUse>,
    /// Processor usage of the benchmark itself, as a share of one processor.
    pub(super) load_cpu: f64,
}

/// Ticks published as fast as the server accepted them.
#[derive(Debug, Serialize)]
pub(super) struct Flood {
    pub(super) seconds: f64,
    pub(super) accepted: u64,
    pub(super) accepted_per_s: f64,
    pub(super) server: Option<ServerUse>,
    pub(super) load_cpu: f64,
}

/// Streams that were opened, and closed once their snapshot was complete.
#[derive(Debug, Serialize)]
pub(super) struct Churn {
    pub(super) seconds: f64,
    pub(super) snapshot: usize,
    pub(super) opened: usize,
    pub(super) opened_per_s: f64,
    /// Time from the connect to the last tick of the snapshot.
    pub(super) latency: Option<Quantiles>,
    pub(super) server: Option<ServerUse>,
    pub(super) load_cpu: f64,
}

/// Time from when a tick was due until the tick was received.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Resources that the process of the server and its children used.
#[derive(Debug, Serialize)]
pub(super) struct ServerUse {
    /// Processor usage, as a share of one processor. The next field is the work done per processor second.
    pub(super) cpu: f64,
    pub(super) per_cpu_s: f64,
    /// Resident memory before the first stream, with all streams open, and at the end.
    pub(super) resident: [u64; 3],
    pub(super) bytes_per_stream: Option<f64>,
}

impl Quantiles {
    /// Returns the quantiles of a histogram of microseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let max = histogram.max() as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max,
        })
    }
}

impl ServerUse {
    /// Computes the usage from three samples: before the first stream, and at the start and the end of the
    /// window. Within the window of length `time` the server did `work`.
    pub(super) fn new(usages: [Usage; 3], time: Duration, work: u64, streams: usize) -> Self {
        let [before, from, to] = usages;
        let cpu = to.cpu.saturating_sub(from.cpu);
        let grown = from.resident.saturating_sub(before.resident) as f64;
        Self {
            cpu: cpu.as_secs_f64() / time.as_secs_f64(),
            per_cpu_s: if cpu.is_zero() { 0.0 } else { work as f64 / cpu.as_secs_f64() },
            resident: usages.map(|usage| usage.resident),
            bytes_per_stream: (streams > 0).then(|| grown / streams as f64),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, load) = match self {
            Self::Streams(found) => {
                writeln!(
                    f,
                    "{} streams ({} stalled), {} symbols, {} ticks/s, {:.1} s",
                    found.streams + found.stalled,
                    found.stalled,
                    found.symbols,
                    found.rate,
                    found.seconds
                )?;
                let Streams { delivered, delivered_per_s, missing, disordered, lost, cut, .. } = found;
                writeln!(
                    f,
                    "delivered  {delivered} ticks, {delivered_per_s:.0}/s; {missing} missing, {disordered} out of order"
                )?;
                if found.overrun {
                    writeln!(f, "overrun    the server accepted ticks more slowly than they were due")?;
                }
                if lost + cut > 0 {
                    writeln!(f, "streams    {lost} ended early, {cut} stalled streams were closed")?;
                }
                if let Some(latency) = &found.latency {
                    writeln!(f, "latency    {latency}")?;
                }
                (&found.server, found.load_cpu)
            }
            Self::Flood(found) => {
                let Flood { accepted, accepted_per_s, seconds, .. } = found;
                writeln!(f, "accepted   {accepted} ticks in {seconds:.1} s, {accepted_per_s:.0}/s")?;
                (&found.server, found.load_cpu)
            }
            Self::Churn(found) => {
                let Churn { opened, opened_per_s, snapshot, seconds, .. } = found;
                writeln!(
                    f,
                    "opened     {opened} streams in {seconds:.1} s, {opened_per_s:.0}/s, each up to a snapshot of {snapshot}"
                )?;
                if let Some(latency) = &found.latency {
                    writeln!(f, "latency    {latency}")?;
                }
                (&found.server, found.load_cpu)
            }
        };
        if let Some(server) = server {
            write!(
                f,
                "server     {:.0} % of a core, {:.0} per core second",
                server.cpu * 100.0,
                server.per_cpu_s
            )?;
            match server.bytes_per_stream {
                Some(bytes) => writeln!(f, ", {:.2} KiB a stream", bytes / 1024.0)?,
                None => writeln!(f)?,
            }
        }
        write!(f, "load       {:.0} % of a core", load * 100.0)
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} ms")
    }
}
