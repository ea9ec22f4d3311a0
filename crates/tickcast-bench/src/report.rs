//! The results of a benchmark, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::usage::Usage;

/// The results of a benchmark. Returned by [`run`](crate::run). `Display` gives a text for people,
/// `Serialize` an object for programs. Times are in milliseconds unless the name says otherwise.
/// Memory is in bytes.
#[derive(Debug, Serialize)]
#[serde(tag = "case", rename_all = "snake_case")]
pub enum Report {
    /// Ticks that arrived on open streams: the result of
    /// [`Measure::Streams`](crate::Measure::Streams).
    Streams(Streams),
    /// Ticks that the server accepted: the result of [`Measure::Flood`](crate::Measure::Flood).
    Flood(Flood),
    /// Streams that the server opened: the result of [`Measure::Churn`](crate::Measure::Churn).
    Churn(Churn),
}

/// Ticks that the server sent to streams. Contained in [`Report::Streams`].
#[derive(Debug, Serialize)]
pub struct Streams {
    /// Number of streams that read.
    pub streams: usize,
    /// Number of streams that never read anything.
    pub stalled: usize,
    /// Number of symbols that received ticks, in turn.
    pub symbols: u64,
    /// Ticks published per second.
    pub rate: f64,
    /// Length of the measurement in seconds.
    pub seconds: f64,
    /// Number of ticks received within the window.
    pub delivered: u64,
    /// Number of ticks received per second.
    pub delivered_per_s: f64,
    /// Number of ticks published within the window that the decoded streams should have received.
    pub expected: u64,
    /// Number of expected ticks that the decoded streams did not receive.
    pub missing: u64,
    /// Number of ticks that are older than an earlier tick of the same stream.
    pub disordered: u64,
    /// Whether the server accepted ticks more slowly than they were due.
    pub overrun: bool,
    /// Number of streams that the server ended.
    pub lost: u64,
    /// Number of times the server closed a stalled stream. A close is the expected behaviour.
    pub cut: u64,
    /// Time from when a tick was due until the tick was received. `None` if no tick was measured.
    pub latency: Option<Quantiles>,
    /// Resources that the server used. `None` without a process id.
    pub server: Option<ServerUse>,
    /// Processor usage of the benchmark itself, as a share of one processor.
    pub load_cpu: f64,
}

/// Ticks published as fast as the server accepted them. Contained in [`Report::Flood`].
#[derive(Debug, Serialize)]
pub struct Flood {
    /// Length of the measurement in seconds.
    pub seconds: f64,
    /// Number of ticks that the server accepted.
    pub accepted: u64,
    /// Number of ticks that the server accepted per second.
    pub accepted_per_s: f64,
    /// Resources that the server used. `None` without a process id.
    pub server: Option<ServerUse>,
    /// Processor usage of the benchmark itself, as a share of one processor.
    pub load_cpu: f64,
}

/// Streams that were opened, and closed once their snapshot was complete. Contained in
/// [`Report::Churn`].
#[derive(Debug, Serialize)]
pub struct Churn {
    /// Length of the measurement in seconds.
    pub seconds: f64,
    /// Number of ticks in the snapshot of each stream.
    pub snapshot: usize,
    /// Number of streams that were opened and received their snapshot.
    pub opened: usize,
    /// The same number per second.
    pub opened_per_s: f64,
    /// Time from the connect to the last tick of the snapshot. `None` if no stream was opened.
    pub latency: Option<Quantiles>,
    /// Resources that the server used. `None` without a process id.
    pub server: Option<ServerUse>,
    /// Processor usage of the benchmark itself, as a share of one processor.
    pub load_cpu: f64,
}

/// Distribution of times, in milliseconds. Contained in [`Streams`] and [`Churn`].
#[derive(Debug, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

/// Resources that the process of the server and its direct children used. Field of each [`Report`],
/// if [`Options::pid`](crate::Options::pid) is set. Measured on Linux only.
#[derive(Debug, Serialize)]
pub struct ServerUse {
    /// Mean processor usage within the window: 1.0 is one processor. The value is above 1 if the
    /// server uses several processors.
    pub cpu: f64,
    /// Work within the window divided by the processor time of the server, in seconds. For
    /// [`Measure::Streams`](crate::Measure::Streams), the work is the number of ticks that the
    /// streams received. For `Flood`, it is the number of accepted ticks; for `Churn`, the number
    /// of opened streams. 0 if the server used no measurable processor time.
    pub per_cpu_s: f64,
    /// Resident memory in bytes: before the first stream, at the start of the window with all
    /// streams open, and at the end of the window. For `Flood` and `Churn`, the first two are both
    /// from the start of the window.
    pub resident: [u64; 3],
    /// Growth of the memory per stream, in bytes: `(resident[1] - resident[0]) / streams`, at least
    /// 0. The streams include the stalled streams. `None` for `Flood` and `Churn`, which keep no
    /// streams open.
    pub bytes_per_stream: Option<f64>,
}

impl Quantiles {
    /// Returns the quantiles of a histogram of microseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
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

/// Returns an empty histogram for values up to `max`, with three significant digits.
pub(crate) fn histogram(max: u64) -> Histogram<u64> {
    Histogram::new_with_max(max, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

impl ServerUse {
    /// Computes the usage from three samples: before the first stream, and at the start and the end
    /// of the window. Within the window of length `time` the server did `work`.
    pub(crate) fn new(usages: [Usage; 3], time: Duration, work: u64, streams: usize) -> Self {
        let [before, from, to] = usages;
        let cpu = to.cpu.saturating_sub(from.cpu);
        let grown = from.resident.saturating_sub(before.resident) as f64;
        Self {
            cpu: cpu.as_secs_f64() / time.as_secs_f64(),
            per_cpu_s: if cpu.is_zero() {
                0.0
            } else {
                work as f64 / cpu.as_secs_f64()
            },
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
                let Streams {
                    delivered,
                    delivered_per_s,
                    missing,
                    disordered,
                    lost,
                    cut,
                    ..
                } = found;
                writeln!(
                    f,
                    "delivered  {delivered} ticks, {delivered_per_s:.0}/s; {missing} missing, {disordered} out of order"
                )?;
                if found.overrun {
                    writeln!(
                        f,
                        "overrun    the server accepted ticks more slowly than they were due"
                    )?;
                }
                if lost + cut > 0 {
                    writeln!(
                        f,
                        "streams    {lost} ended early, {cut} stalled streams were closed"
                    )?;
                }
                if let Some(latency) = &found.latency {
                    writeln!(f, "latency    {latency}")?;
                }
                (&found.server, found.load_cpu)
            }
            Self::Flood(found) => {
                let Flood {
                    accepted,
                    accepted_per_s,
                    seconds,
                    ..
                } = found;
                writeln!(
                    f,
                    "accepted   {accepted} ticks in {seconds:.1} s, {accepted_per_s:.0}/s"
                )?;
                (&found.server, found.load_cpu)
            }
            Self::Churn(found) => {
                let Churn {
                    opened,
                    opened_per_s,
                    snapshot,
                    seconds,
                    ..
                } = found;
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
        let Self {
            p50,
            p90,
            p99,
            p999,
            max,
        } = self;
        write!(
            f,
            "p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} ms"
        )
    }
}
