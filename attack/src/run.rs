//! One attack from start to end, and its effect on other clients.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use attack::{Attack, Attacker, Load, Market, Standing, memory_bound};

use crate::health::Health;
use crate::others::{Delays, Others, READERS, SYMBOLS};
use crate::server::{Server, TOKEN};

/// Measurement time before the attack, and the time after the attackers have disconnected. In this time the
/// server removes the attackers.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(3);

/// Warm-up time before the measurement. The server makes its one-time allocations in this time.
const WARM_UP: Duration = Duration::from_secs(1);

/// Interval of the checks whether the server is at rest.
const LOOK: Duration = Duration::from_millis(100);

/// Maximum time until a response of `/healthz`.
const HEALTHY: Duration = Duration::from_millis(100);

/// Maximum factor of growth of the other clients' p99 delay.
const SLOWER: u32 = 2;

/// Maximum time until the server is at rest.
const REST: Duration = Duration::from_secs(30);

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
    /// Resident memory before the attack, its maximum, and its value at rest or after [`REST`].
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
    others.begin();
    std::thread::sleep(BEFORE);
    let before = others.delays();
    let standing = Standing::of(process, address)?;

    let anew = || {
        others.begin();
        health.begin();
    };
    process.forget_peak()?;
    anew();
    let answers = plan.attack.act(&Attacker::new(address, process, &anew), &plan.market, plan.size)?;
    let left = Instant::now();
    std::thread::sleep(AFTER);
    let during = others.delays();
    let mut rest = Err(String::new());
    while rest.is_err() && left.elapsed() < REST && server.runs() {
        rest = match Standing::of(process, address).map(|now| now.beyond(&standing)) {
            Ok(beyond) if beyond.is_empty() => Ok(left.elapsed()),
            Ok(beyond) => Err(beyond.join(", ")),
            Err(error) => Err(error.to_string()),
        };
        std::thread::sleep(LOOK);
    }
    anyhow::ensure!(server.runs(), "the server has ended");
    let load =
        Load { symbols: plan.market.symbols as u64 + SYMBOLS, connections: (plan.size + READERS) as u64 };
    let memory = [standing.resident, process.peak()?, process.resident()?];
    let bound = memory_bound(load);
    Ok(Outcome { healthz: health.worst(), before, during, memory, bound, rest, answers })
}

impl Outcome {
    /// Returns the violated limits.
    pub(crate) fn faults(&self) -> Vec<String> {
        let most = self.before.p99 * SLOWER;
        let lost = self.during.lost;
        let faults = [
            (self.healthz > HEALTHY, format!("/healthz over {HEALTHY:?}")),
            (self.during.p99 > most, format!("p99 over {most:.1?}")),
            (lost > 0, format!("{lost} other readers lost their connection")),
            (self.memory[1] > self.bound, format!("memory over {} MB", self.bound >> 20)),
        ];
        let rest = self.rest.as_ref().err().map(|what| format!("not at rest: {what}"));
        let faults = faults.into_iter().filter(|(fault, _)| *fault).map(|(_, text)| text);
        faults.chain(rest).collect()
    }
}
