//! The measured cases and the required results: the numbers of the specification.

/// A measured server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ServerKind {
    Floor,
    Textbook,
    Nchan,
    DurableStreams,
    Tickcast,
}

/// One load, and the servers under this load.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Arguments of `tickcast bench`.
    pub(super) load: &'static str,
    /// More arguments of `tickcast serve`.
    pub(super) server: &'static str,
    pub(super) servers: &'static [ServerKind],
}

impl Case {
    /// Checks whether the servers are measured at the same time. Single ticks hardly use the machine,
    /// but their delays are those of the machine at that time.
    pub(super) fn is_measured_together(&self) -> bool {
        self.name == "P13"
    }
}

/// A figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// Delivered ticks or opened streams, per second of the server's CPU time.
    PerCpuSecond,
    /// Accepted ticks or opened streams, per second.
    PerSecond,
    /// The median of the delay, in milliseconds.
    P50,
    /// The 99th percentile of the delay, in milliseconds.
    P99,
    /// Resident memory per stream, in KiB.
    KibPerStream,
    /// Number of missing ticks.
    Missing,
    /// Growth of the resident memory within the window, in percent.
    Growth,
    /// Processor time for one tick to each of the streams, in milliseconds.
    Lap,
}

/// A required value of one of tickcast's figures in a case.
pub(super) struct Requirement {
    pub(super) number: &'static str,
    pub(super) case: &'static str,
    pub(super) figure: Figure,
    pub(super) reference: Reference,
    pub(super) must: Bound,
    pub(super) aim: Option<Bound>,
}

/// The reference of a figure: the figure itself, or its ratio to another figure.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference {
    Itself,
    Times(ServerKind),
    /// The ratio to tickcast's own figure in another case.
    Case(&'static str),
    /// The ratio to the lap of the floor in another case: the time for one write to each of as many
    /// streams. A millisecond is not the same on two machines.
    Laps(&'static str),
}

/// A bound of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};
use Figure::{Growth, KibPerStream, Lap, Missing, P50, P99, PerCpuSecond, PerSecond};
use Reference::{Itself, Times};
use ServerKind::{DurableStreams, Floor, Nchan, Textbook, Tickcast};

/// A tape that is full within seconds, so that later growth of memory does not come from the tape.
const FULL_TAPE: &str = "--tape-ticks 400";

/// Every load.
pub(super) const CASES: [Case; 15] = [
    Case {
        name: "P1",
        what: "1,000 streams, 100 single ticks a second to each",
        load: "--streams 1000 --symbols 1 --rate 100 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Floor, Textbook, Nchan, DurableStreams, Tickcast],
    },
    Case {
        name: "P2",
        what: "15,000 streams, 5 single ticks a second to each",
        load: "--streams 15000 --symbols 1 --rate 5 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Floor, Textbook, Nchan, DurableStreams, Tickcast],
    },
    Case {
        name: "P3",
        what: "1,000 streams, 10,000 ticks a second of 100 symbols to each",
        load: "--streams 1000 --symbols 100 --rate 10000 --sample-every 10 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Textbook, Nchan, DurableStreams, Tickcast],
    },
    Case {
        name: "P4",
        what: "10,000 streams, each with its own 10 of 1,000 symbols, 5,000 ticks a second in all",
        load: "--streams 10000 --symbols 1000 --symbols-per-stream 10 --rate 5000 --warm-up 2s --seconds 5s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "P4-lap",
        what: "10,000 streams, 5 single ticks a second to each",
        load: "--streams 10000 --symbols 1 --rate 5 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Floor],
    },
    Case {
        name: "P5",
        what: "15,000 idle streams",
        load: "--streams 15000 --symbols 1 --rate 0 --warm-up 0s --seconds 1s",
        server: "",
        servers: &[Textbook, Nchan, Tickcast],
    },
    Case {
        name: "P7a",
        what: "900 streams, 100 single ticks a second to each",
        load: "--streams 900 --symbols 1 --rate 100 --warm-up 25s --seconds 20s",
        server: FULL_TAPE,
        servers: &[Tickcast],
    },
    Case {
        name: "P7b",
        what: "the same, with 100 more streams that read nothing",
        load: "--streams 1000 --stalled 100 --symbols 1 --rate 100 --warm-up 25s --seconds 20s",
        server: FULL_TAPE,
        servers: &[Tickcast],
    },
    Case {
        name: "P8",
        what: "NDJSON, posted as fast as the server accepts it",
        load: "--flood --symbols 1000 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "P9",
        what: "streams opened as fast as the server answers, each with its own 10 of 1,000 symbols, closed after the snapshot",
        load: "--churn --symbols 1000 --symbols-per-stream 10 --warm-up 1s --seconds 5s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "P13",
        what: "one stream, one tick a second, nothing else",
        load: "--streams 1 --symbols 1 --rate 1 --warm-up 1s --seconds 30s",
        server: "",
        servers: &[Floor, Textbook, Nchan, DurableStreams, Tickcast],
    },
    Case {
        name: "S1",
        what: "100,000 symbols at 20,000 ticks a second, 10,000 streams of 20 each and 100 streams of all",
        load: "--streams 10100 --wide 100 --symbols 100000 --symbols-per-stream 20 --rate 20000 --sample-every 10 --warm-up 10s --seconds 5s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "S2a",
        what: "simple streams of all of 100,000 symbols, opened as fast as the server answers, closed after the snapshot",
        load: "--churn --symbols 100000 --warm-up 1s --seconds 10s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "S2b",
        what: "the same with resumable streams",
        load: "--churn --symbols 100000 --stream-path /v1/stream --warm-up 1s --seconds 10s",
        server: "",
        servers: &[Tickcast],
    },
    Case {
        name: "S5",
        what: "P4 with `rate=2`: each stream receives the newest of its 10 symbols twice a second",
        load: "--streams 10000 --symbols 1000 --symbols-per-stream 10 --rate 5000 --stream-path /prices/stream?symbols={symbols}&rate=2 --warm-up 2s --seconds 5s",
        server: "",
        servers: &[Tickcast],
    },
];

/// Every required value.
pub(super) const REQUIREMENTS: [Requirement; 21] = [
    requirement(
        "P1",
        "P1",
        PerCpuSecond,
        Times(Floor),
        AtLeast(0.9),
        Some(AtLeast(1.1)),
    ),
    requirement("P1", "P1", PerCpuSecond, Times(Nchan), AtLeast(1.4), None),
    requirement(
        "P1",
        "P1",
        PerCpuSecond,
        Times(Textbook),
        AtLeast(1.3),
        None,
    ),
    requirement(
        "P2",
        "P2",
        PerCpuSecond,
        Times(Floor),
        AtLeast(0.9),
        Some(AtLeast(1.1)),
    ),
    requirement("P2", "P2", PerCpuSecond, Times(Nchan), AtLeast(1.15), None),
    requirement(
        "P3",
        "P3",
        PerCpuSecond,
        Times(Textbook),
        AtLeast(15.0),
        Some(AtLeast(25.0)),
    ),
    requirement("P3", "P3", PerCpuSecond, Times(Nchan), AtLeast(80.0), None),
    requirement("P4", "P4", Missing, Itself, AtMost(0.0), None),
    requirement(
        "P4",
        "P4",
        P99,
        Reference::Laps("P4-lap"),
        AtMost(2.0),
        Some(AtMost(1.3)),
    ),
    requirement(
        "P5",
        "P5",
        KibPerStream,
        Itself,
        AtMost(1.5),
        Some(AtMost(0.7)),
    ),
    requirement("P5", "P5", KibPerStream, Times(Nchan), AtMost(1.0), None),
    requirement("P5", "P5", KibPerStream, Times(Textbook), AtMost(1.0), None),
    requirement(
        "P6",
        "P1",
        P99,
        Times(Nchan),
        AtMost(1.0),
        Some(AtMost(0.5)),
    ),
    requirement(
        "P7",
        "P7b",
        P99,
        Reference::Case("P7a"),
        AtMost(1.2),
        Some(AtMost(1.05)),
    ),
    requirement("P7", "P7b", Growth, Itself, AtMost(5.0), None),
    requirement(
        "P8",
        "P8",
        PerSecond,
        Itself,
        AtLeast(300_000.0),
        Some(AtLeast(600_000.0)),
    ),
    requirement(
        "P9",
        "P9",
        PerSecond,
        Itself,
        AtLeast(8_000.0),
        Some(AtLeast(15_000.0)),
    ),
    requirement("P13", "P13", P50, Times(Textbook), AtMost(1.0), None),
    requirement("S1", "S1", Missing, Itself, AtMost(0.0), None),
    // 500 streams in 20 seconds of one core.
    requirement("S2", "S2b", PerCpuSecond, Itself, AtLeast(25.0), None),
    requirement(
        "S2",
        "S2b",
        PerCpuSecond,
        Reference::Case("S2a"),
        AtLeast(1.0 / 1.3),
        None,
    ),
];

const fn requirement(
    number: &'static str,
    case: &'static str,
    figure: Figure,
    reference: Reference,
    must: Bound,
    aim: Option<Bound>,
) -> Requirement {
    Requirement {
        number,
        case,
        figure,
        reference,
        must,
        aim,
    }
}

impl Bound {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            AtLeast(bound) => value >= bound,
            AtMost(bound) => value <= bound,
        }
    }
}

impl Figure {
    /// Returns the name of the figure in this case.
    pub(super) fn name(self, case: &str) -> &'static str {
        match self {
            PerCpuSecond => "deliveries per server core second",
            PerSecond if case == "P8" => "ticks a second",
            PerSecond => "streams a second",
            P50 => "p50, ms",
            P99 => "p99, ms",
            KibPerStream => "KiB a stream",
            Missing => "ticks missing",
            Growth => "growth of memory, %",
            Lap => "a lap, ms",
        }
    }

    /// Returns the figure's value in a report of `tickcast bench --json`.
    pub(super) fn of(self, report: &serde_json::Value) -> Option<f64> {
        match self {
            PerCpuSecond => report["server"]["per_cpu_s"].as_f64(),
            PerSecond => report["accepted_per_s"]
                .as_f64()
                .or_else(|| report["opened_per_s"].as_f64()),
            P50 => report["latency"]["p50"].as_f64(),
            P99 => report["latency"]["p99"].as_f64(),
            KibPerStream => report["server"]["bytes_per_stream"]
                .as_f64()
                .map(|bytes| bytes / 1024.0),
            Missing => report["missing"].as_f64(),
            Lap => Some(1000.0 * report["streams"].as_f64()? / PerCpuSecond.of(report)?),
            Growth => {
                let resident = |index: usize| report["server"]["resident"][index].as_f64();
                Some((resident(2)? / resident(1)? - 1.0) * 100.0)
            }
        }
    }
}
