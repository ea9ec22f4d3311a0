//! What a benchmark found, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::usage::Usage;

/// What a benchmark found. Times are in milliseconds unless they say otherwise, memory in bytes.
#[derive(Debug, Serialize)]
#[serde(tag = "case", rename_all = "snake_case")]
pub(super) enum Report {
    Streams(Streams),
    Flood(Flood),
    Churn(Churn),
}

/// Ticks sent on to streams.
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    pub(super) streams: usize,
    pub(super) stalled: usize,
    pub(super) symbols: u64,
    /// Ticks a second that were published.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// Ticks received within the window, and a second.
    pub(super) delivered: u64,
    pub(super) delivered_per_s: f64,
    /// Of the ticks published within the window: how many should have come, and did not.
    pub(super) expected: u64,
    pub(super) missing: u64,
    pub(super) disordered: u64,
    /// The server took ticks more slowly than they were due.
    pub(super) overrun: bool,
    /// Streams that ended, and stalled ones that were cut for it.
    pub(super) lost: u64,
    pub(super) cut: u64,
    pub(super) latency: Option<Quantiles>,
    pub(super) server: Option<ServerUse>,
    /// How much of a processor the load took.
    pub(super) load_cpu: f64,
}

/// Ticks handed in as fast as they were taken.
#[derive(Debug, Serialize)]
pub(super) struct Flood {
    pub(super) seconds: f64,
    pub(super) accepted: u64,
    pub(super) accepted_per_s: f64,
    pub(super) server: Option<ServerUse>,
    pub(super) load_cpu: f64,
}

/// Streams opened, and closed once their snapshot was there.
#[derive(Debug, Serialize)]
pub(super) struct Churn {
    pub(super) seconds: f64,
    pub(super) snapshot: usize,
    pub(super) opened: usize,
    pub(super) opened_per_s: f64,
    /// From the connect to the last tick of the snapshot.
    pub(super) latency: Option<Quantiles>,
    pub(super) server: Option<ServerUse>,
    pub(super) load_cpu: f64,
}

/// From when a tick was due until it was there.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// What the server's process and its children used.
#[derive(Debug, Serialize)]
pub(super) struct ServerUse {
    /// How much of a processor, and what came out of each second of it.
    pub(super) cpu: f64,
    pub(super) per_cpu_s: f64,
    /// Resident memory before the first stream, with all open, and at the end.
    pub(super) resident: [u64; 3],
    pub(super) bytes_per_stream: Option<f64>,
}

impl Quantiles {
    /// Of microseconds.
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
    /// Between `from` and `to` it did `work`; `before` the first stream it used less memory.
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
                    writeln!(f, "overrun    the server took ticks more slowly than they were due")?;
                }
                if lost + cut > 0 {
                    writeln!(f, "streams    {lost} ended early, {cut} stalled ones were cut")?;
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
