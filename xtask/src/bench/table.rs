//! The results: medians, ratios and verdicts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::cases::{Bound, CASES, Figure, REQUIREMENTS, Reference, Requirement, ServerKind};

/// The limit of CPU use. If the load is above this limit and the server is not, the benchmark
/// measured the load.
const BUSY_CPU: f64 = 0.9;

/// All reports, by case and server.
pub(super) type Reports = BTreeMap<(&'static str, ServerKind), Vec<Value>>;

/// All results.
pub(super) struct Table<'r> {
    reports: &'r Reports,
    rounds: usize,
}

impl<'r> Table<'r> {
    pub(super) const fn new(reports: &'r Reports, rounds: usize) -> Self {
        Self { reports, rounds }
    }

    /// Returns the median of a figure over all rounds.
    fn median(&self, case: &'static str, kind: ServerKind, figure: Figure) -> Option<f64> {
        median(
            self.reports
                .get(&(case, kind))?
                .iter()
                .filter_map(|report| figure.of(report))
                .collect(),
        )
    }

    /// Returns tickcast's figure of a requirement, or its ratio to another figure. The ratio is the
    /// median of the ratios within each round.
    fn value(&self, requirement: &Requirement) -> Option<f64> {
        let figure = requirement.figure;
        let (case, kind, other) = match requirement.reference {
            Reference::Itself => {
                return self.median(requirement.case, ServerKind::Tickcast, requirement.figure);
            }
            Reference::Times(kind) => (requirement.case, kind, figure),
            Reference::Case(case) => (case, ServerKind::Tickcast, figure),
            Reference::Laps(case) => (case, ServerKind::Floor, Figure::Lap),
        };
        let values = self
            .reports
            .get(&(requirement.case, ServerKind::Tickcast))?;
        let references = self.reports.get(&(case, kind))?;
        let pairs = values.iter().zip(references);
        median(
            pairs
                .filter_map(|(a, b)| Some(figure.of(a)? / other.of(b)?))
                .collect(),
        )
    }

    /// Returns a table row for each requirement.
    pub(super) fn verdicts(&self) -> String {
        let mut text =
            String::from("| | figure | measured | must | aim | |\n|---|---|---|---|---|---|\n");
        for requirement in &REQUIREMENTS {
            let Some(value) = self.value(requirement) else {
                continue;
            };
            let verdict = match requirement.aim {
                _ if !requirement.must.holds(value) => "**missed**",
                Some(aim) if aim.holds(value) => "aim met",
                Some(_) => "met, aim missed",
                None => "met",
            };
            let (must, aim) = (
                bound(requirement.must),
                requirement.aim.map(bound).unwrap_or_default(),
            );
            let _ = writeln!(
                text,
                "| {} | {} | {} | {must} | {aim} | {verdict} |",
                requirement.number,
                figure_name(requirement),
                short(value)
            );
        }
        text
    }

    /// Returns a document with all medians and verdicts.
    pub(super) fn document(&self, instructions: Option<&str>) -> Result<String> {
        let mut text = format!("# Measured on {}\n\n{}\n{}\n", today()?, machine()?, METHOD);
        let _ = writeln!(text, "{} rounds.\n\n{}", self.rounds, self.verdicts());
        text.push_str("## Medians\n\n| case | | per second | per server core second | p50 ms | p99 ms | missing | KiB a stream | server core | load core |\n|---|---|---|---|---|---|---|---|---|---|\n");
        for ((case, kind), reports) in self.reports {
            let of = |path: &[&str]| {
                let values = reports
                    .iter()
                    .filter_map(|report| lookup(report, path))
                    .collect();
                median(values).map_or_else(String::new, short)
            };
            let per_second = [&["delivered_per_s"], &["accepted_per_s"], &["opened_per_s"]];
            let per_second: String = per_second.iter().map(|path| of(*path)).collect();
            let kib = self
                .median(case, *kind, Figure::KibPerStream)
                .map_or_else(String::new, short);
            let cells = [
                per_second,
                of(&["server", "per_cpu_s"]),
                of(&["latency", "p50"]),
                of(&["latency", "p99"]),
                of(&["missing"]),
                kib,
                of(&["server", "cpu"]),
                of(&["load_cpu"]),
            ];
            let _ = writeln!(text, "| {case} | {kind:?} | {} |", cells.join(" | "));
        }
        if let Some(instructions) = instructions {
            let _ = writeln!(
                text,
                "\n## Instructions, counted by valgrind\n\n{instructions}"
            );
        }
        text.push_str("\n## Cases\n\n| case | load | `tickcast bench` |\n|---|---|---|\n");
        for case in &CASES {
            let _ = writeln!(text, "| {} | {} | `{}` |", case.name, case.what, case.load);
        }
        Ok(text)
    }

    /// Returns an error if a requirement was missed, or if the load was busier than the server.
    pub(super) fn outcome(&self) -> Result<()> {
        let missed = REQUIREMENTS.iter().filter(|requirement| {
            self.value(requirement)
                .is_some_and(|v| !requirement.must.holds(v))
        });
        let mut faults: Vec<_> = missed
            .map(|requirement| {
                format!(
                    "{}: {} missed",
                    requirement.number,
                    figure_name(requirement)
                )
            })
            .collect();
        for ((case, kind), reports) in self.reports {
            let of = |path: &[&str]| {
                median(
                    reports
                        .iter()
                        .filter_map(|report| lookup(report, path))
                        .collect(),
                )
            };
            if of(&["load_cpu"]) > Some(BUSY_CPU) && of(&["server", "cpu"]) < Some(BUSY_CPU) {
                faults.push(format!(
                    "{case}, {kind:?}: the load was busier than the server"
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            bail!("{}", faults.join("; "))
        }
    }
}

/// The description of the method.
const METHOD: &str = "\
The server is pinned to one core and the load (`tickcast bench`) to the other, over loopback. Each case starts each server
again. Each round runs all cases in order. Figures are medians over the rounds. Ratios are medians of the ratios within each
round. Ticks are published when they are due, even if the server is slow. A delay is the time from when a tick was due until
the tick was read. Processor time is the time that the system charges to the server's process and its children, including the
kernel. Floor is a loop that only calls `send(2)` with tickcast's bytes for every socket. Textbook is an Axum handler with
`BroadcastStream` and `Sse`. Nchan is Debian's nginx with `libnginx-mod-nchan`, with one worker and without logs. Each tick
is posted to nchan separately, because nchan accepts no batches. DurableStreams is the server of the crate `durable-streams`, without a
log on disk (`--durability memory`), with one JSON stream that is read with `live=sse`; each tick is posted separately. A lap is the
processor time of the floor for one tick to each of as many streams. P3 reads the ticks of one stream in ten and counts the bytes
of the others.
";

/// Returns a report in one line.
pub(super) fn summary(report: &Value) -> String {
    let number = |path: &[&str]| lookup(report, path).map_or_else(|| "–".to_owned(), short);
    let per_second = ["delivered_per_s", "accepted_per_s", "opened_per_s"];
    let per_second = per_second
        .iter()
        .find_map(|name| report[name].as_f64())
        .map_or_else(String::new, short);
    format!(
        "{per_second:>12}/s  {:>12} per core second  p99 {:>8} ms  missing {:>8}  server {:>5} load {:>5}",
        number(&["server", "per_cpu_s"]),
        number(&["latency", "p99"]),
        number(&["missing"]),
        number(&["server", "cpu"]),
        number(&["load_cpu"]),
    )
}

fn lookup(report: &Value, path: &[&str]) -> Option<f64> {
    path.iter().fold(report, |value, key| &value[*key]).as_f64()
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let above = *values.get(middle)?;
    // For an even number of values, the median is between the two middle values.
    Some(if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], above)
    } else {
        above
    })
}

pub(super) fn bound(bound: Bound) -> String {
    match bound {
        Bound::AtLeast(bound) => format!("≥ {}", short(bound)),
        Bound::AtMost(bound) => format!("≤ {}", short(bound)),
    }
}

fn figure_name(requirement: &Requirement) -> String {
    let figure = requirement.figure.name(requirement.case);
    match requirement.reference {
        Reference::Itself => figure.to_owned(),
        Reference::Times(kind) => format!("{figure}, ÷ {}", format!("{kind:?}").to_lowercase()),
        Reference::Case(case) => format!("{figure}, ÷ {case}"),
        Reference::Laps(_) => "p99, laps".to_owned(),
    }
}

/// Returns the value with two decimals if the value is below 100, else a whole number with
/// thousands separators.
pub(super) fn short(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.strip_suffix(".00").map(str::to_owned).unwrap_or(text);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a description of the machine.
fn machine() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(format!(
        "{model}, {cores} cores, Linux {}.\n",
        output_of("uname", "-r")?
    ))
}

/// Returns the date in the format of file names.
pub(super) fn today() -> Result<String> {
    output_of("date", "+%F")
}

fn output_of(program: &str, argument: &str) -> Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
