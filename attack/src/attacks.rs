//! All attacks, by name.

mod readers;
mod stalls;
mod wide;
mod windows;

use anyhow::Result;

use crate::attacker::Attacker;
use crate::market::Market;

/// An attack on a server, with a size.
#[derive(Debug)]
pub struct Attack {
    /// The name on the command line.
    pub name: &'static str,
    /// The description, which follows the size.
    pub what: &'static str,
    /// The default size.
    pub size: usize,
    /// The market before the attack.
    pub market: Market,
    /// More arguments of `tickcast serve`.
    pub server: &'static [&'static str],
    act: fn(&Attacker<'_>, &Market, usize) -> Result<String>,
}

impl Attack {
    /// Runs the attack. Returns the responses of the server. All attackers have disconnected when
    /// the function returns.
    ///
    /// # Errors
    ///
    /// If the attack cannot run. The error does not mean a fault of the server.
    pub fn act(&self, attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
        (self.act)(attacker, market, size)
    }
}

/// A market with only the symbols of the other readers.
const EMPTY: Market = Market {
    symbols: 0,
    ticks: 0,
    extras: 0,
    prefix: "",
};

/// Names of 32 characters. The patterns take long to compare with these names and do not match.
const LONG_NAMES: Market = Market {
    symbols: 100_000,
    ticks: 100_000,
    extras: 0,
    prefix: "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

/// Every attack.
pub const ATTACKS: [Attack; 9] = [
    attack(
        "resets",
        "readers that reset their connections when their heartbeats are due, three times",
        300,
        EMPTY,
        &[],
        readers::resets,
    ),
    attack(
        "pause",
        "readers that reset their connections while the server is paused",
        8,
        EMPTY,
        &[],
        readers::pause,
    ),
    attack(
        "bodies",
        "POST and PATCH requests in turn whose bodies never arrive, against at most 200 connections",
        270,
        EMPTY,
        &["--max-connections", "200"],
        stalls::bodies,
    ),
    attack(
        "requests",
        "widest requests for prices at once, then for streams",
        2,
        LONG_NAMES,
        &[],
        wide::requests,
    ),
    attack(
        "patches",
        "changes per second of one stream, each to 100 other patterns",
        30,
        LONG_NAMES,
        &[],
        wide::patches,
    ),
    attack(
        "exports",
        "exports of 200,000 ticks that no client reads",
        700,
        Market {
            symbols: 1,
            ticks: 200_000,
            extras: 200,
            prefix: "EXP",
        },
        &[],
        stalls::exports,
    ),
    attack(
        "answers",
        "answers with the whole market that no client reads",
        20,
        Market {
            symbols: 100_000,
            ticks: 100_000,
            extras: 980,
            prefix: "W",
        },
        &[],
        stalls::answers,
    ),
    attack(
        "windows",
        "HTTP/2 connections with no window, 200 requests each",
        5,
        Market {
            symbols: 5_000,
            ticks: 5_000,
            extras: 200,
            prefix: "H",
        },
        &[],
        windows::windows,
    ),
    attack(
        "patterns",
        "streams with their own patterns that all disconnect at once",
        6_000,
        Market {
            symbols: 5_000,
            ticks: 5_000,
            extras: 0,
            prefix: "S",
        },
        &[],
        readers::patterns,
    ),
];

const fn attack(
    name: &'static str,
    what: &'static str,
    size: usize,
    market: Market,
    server: &'static [&'static str],
    act: fn(&Attacker<'_>, &Market, usize) -> Result<String>,
) -> Attack {
    Attack {
        name,
        what,
        size,
        market,
        server,
        act,
    }
}
