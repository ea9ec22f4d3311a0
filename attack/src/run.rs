//! One attack from beginning to end, and what everyone else noticed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use attack::{Attack, Attacker, Load, Market, Standing, memory_bound};

use crate::health::Health;
use crate::others::{Delays, Others, READERS, SYMBOLS};
use crate::server::{Server, TOKEN};

/// How long others are measured before; and after the attackers have left, when a server has to forget them.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(3);

/// What a server is given before it is measured: what it allocates once is then allocated.
const WARM_UP: Duration = Duration::from_secs(1);

/// Between two looks at whether all is at rest.
const LOOK: Duration = Duration::from_millis(100);

/// How long the longest answer of `/healthz` may take.
const HEALTHY: Duration = Duration::from_millis(100);

/// By how much the p99 of others may grow.
const SLOWER: u32 = 2;

/// How soon all must be back at rest.
const REST: Duration = Duration::from_secs(30);

/// What is to be done to whom.
pub(crate) struct Plan<'p> {
    pub(crate) program: &'p Path,
    pub(crate) attack: &'static Attack,
    pub(crate) size: usize,
    pub(crate) market: Market,
    pub(crate) on_disk: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) healthz: Duration,
    pub(crate) before: Delays,
    pub(crate) during: Delays,
    /// Resident memory before, at most, and at rest or after [`REST`].
    pub(crate) memory: [u64; 3],
    pub(crate) bound: u64,
    /// How soon all was back at rest; or what was not.
    pub(crate) rest: Result<Duration, String>,
    /// How the attackers were answered.
    pub(crate) answers: String,
}

/// Starts a server, attacks it, and waits until it is at rest.
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
    /// What did not hold.
    pub(crate) fn faults(&self) -> Vec<String> {
        let most = self.before.p99 * SLOWER;
        let lost = self.during.lost;
        let faults = [
            (self.healthz > HEALTHY, format!("/healthz over {HEALTHY:?}")),
            (self.during.p99 > most, format!("p99 over {most:.1?}")),
            (lost > 0, format!("{lost} others lost")),
            (self.memory[1] > self.bound, format!("memory over {} MB", self.bound >> 20)),
        ];
        let rest = self.rest.as_ref().err().map(|what| format!("not at rest: {what}"));
        let faults = faults.into_iter().filter(|(fault, _)| *fault).map(|(_, text)| text);
        faults.chain(rest).collect()
    }
}
