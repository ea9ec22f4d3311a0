//! One attack from start to end, and its effect on other clients.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use attack::{Attack, Attacker, Load, Market, ResourceUsage, memory_bound};

use crate::health::Health;
use crate::others::{Delays, Others, READERS, SYMBOLS};
use crate::server::{Server, TOKEN};

/// Measurement time before the attack, and the time after the attackers have disconnected. In this
/// time the server removes the attackers.
const TIME_BEFORE: Duration = Duration::from_secs(5);
const TIME_AFTER: Duration = Duration::from_secs(3);

/// Warm-up time before the measurement. The server makes its one-time allocations in this time.
const WARM_UP: Duration = Duration::from_secs(1);

/// Interval of the checks whether the server is at rest.
const REST_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum time until a response of `/healthz`.
const MAX_HEALTHZ_TIME: Duration = Duration::from_millis(100);

/// Maximum factor of growth of the other clients' p99 delay.
const MAX_P99_GROWTH: u32 = 2;

/// Maximum time until the server is at rest.
const MAX_TIME_TO_REST: Duration = Duration::from_secs(30);

/// The attack and its server.
pub(crate) struct Plan<'p> {
    pub(crate) program: &'p Path,
    pub(crate) attack: &'static Attack,
    pub(crate) size: usize,
    pub(crate) market: Market,
    pub(crate) on_disk: bool,
}

/// The result of an attack.
pub(crate) struct Outcome {
    pub(crate) healthz: Duration,
    pub(crate) before: Delays,
    pub(crate) during: Delays,
    /// Resident memory before the attack, its maximum, and its value at rest or after
    /// [`MAX_TIME_TO_REST`].
    pub(crate) memory: [u64; 3],
    pub(crate) bound: u64,
    /// The time until the server was at rest, or the resources that were not at rest.
    pub(crate) rest: Result<Duration, String>,
    /// The responses to the attackers.
    pub(crate) answers: String,
}

/// Starts a server, attacks the server, and waits until the server is at rest.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let mut server = Server::start(plan.program, plan.attack.server, plan.on_disk)?;
    let (address, process) = (server.address, server.process());
    plan.market.publish(address, TOKEN)?;
    let (others, health) = (Others::start(address)?, Health::start(address));
    std::thread::sleep(WARM_UP);
    others.start_measurement();
    std::thread::sleep(TIME_BEFORE);
    let before = others.delays();
    let usage_before = ResourceUsage::of(process, address)?;

    let restart = || {
        others.start_measurement();
        health.start_measurement();
    };
    process.reset_peak()?;
    restart();
    let answers = plan.attack.act(
        &Attacker::new(address, process, &restart),
        &plan.market,
        plan.size,
    )?;
    let disconnected_at = Instant::now();
    std::thread::sleep(TIME_AFTER);
    let during = others.delays();
    let mut rest = Err(String::new());
    while rest.is_err() && disconnected_at.elapsed() < MAX_TIME_TO_REST && server.runs() {
        rest = match ResourceUsage::of(process, address).map(|now| now.exceeding(&usage_before)) {
            Ok(exceeding) if exceeding.is_empty() => Ok(disconnected_at.elapsed()),
            Ok(exceeding) => Err(exceeding.join(", ")),
            Err(error) => Err(error.to_string()),
        };
        std::thread::sleep(REST_CHECK_INTERVAL);
    }
    anyhow::ensure!(server.runs(), "the server has ended");
    let load = Load {
        symbols: plan.market.symbols as u64 + SYMBOLS,
        connections: (plan.size + READERS) as u64,
    };
    let memory = [usage_before.resident, process.peak()?, process.resident()?];
    let bound = memory_bound(load);
    Ok(Outcome {
        healthz: health.worst(),
        before,
        during,
        memory,
        bound,
        rest,
        answers,
    })
}

impl Outcome {
    /// Returns the violated limits.
    pub(crate) fn faults(&self) -> Vec<String> {
        let max_p99 = self.before.p99 * MAX_P99_GROWTH;
        let lost = self.during.lost;
        let faults = [
            (
                self.healthz > MAX_HEALTHZ_TIME,
                format!("/healthz over {MAX_HEALTHZ_TIME:?}"),
            ),
            (self.during.p99 > max_p99, format!("p99 over {max_p99:.1?}")),
            (
                lost > 0,
                format!("{lost} other readers lost their connection"),
            ),
            (
                self.memory[1] > self.bound,
                format!("memory over {} MB", self.bound >> 20),
            ),
        ];
        let rest = self
            .rest
            .as_ref()
            .err()
            .map(|what| format!("not at rest: {what}"));
        let faults = faults
            .into_iter()
            .filter(|(fault, _)| *fault)
            .map(|(_, text)| text);
        faults.chain(rest).collect()
    }
}
