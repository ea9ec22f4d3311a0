//! All attacks, by name.

mod readers;
mod stalls;
mod wide;
mod windows;

use anyhow::Result;

use crate::attacker::Attacker;
use crate::market::Market;

/// Something that can be done to a server, in a size.
#[derive(Debug)]
pub struct Attack {
    /// How it is asked for.
    pub name: &'static str,
    /// What it is; its size comes first.
    pub what: &'static str,
    /// How large it is unless said.
    pub size: usize,
    /// What is on the market beforehand.
    pub market: Market,
    /// More arguments of `tickcast serve`.
    pub server: &'static [&'static str],
    act: fn(&Attacker<'_>, &Market, usize) -> Result<String>,
}

impl Attack {
    /// Carries it out; returns how it was answered. All attackers have left when it returns.
    ///
    /// # Errors
    ///
    /// If it cannot be carried out, which says nothing about the server.
    pub fn act(&self, attacker: &Attacker<'_>, market: &Market, size: usize) -> Result<String> {
        (self.act)(attacker, market, size)
    }
}

/// No market but what others read.
const EMPTY: Market = Market { symbols: 0, ticks: 0, extras: 0, prefix: "" };

/// Names of 32 characters which patterns are long at, and match none.
const LONG_NAMES: Market =
    Market { symbols: 100_000, ticks: 100_000, extras: 0, prefix: "aaaaaaaaaaaaaaaaaaaaaaaaaaa" };

/// Every attack.
pub const ATTACKS: [Attack; 9] = [
    attack(
        "resets",
        "readers that reset their connections as their heartbeats fall due, three times",
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
        "bodies that never come, of POST and PATCH in turn, against 200 places",
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
        "changes a second of one stream to other 100 patterns",
        30,
        LONG_NAMES,
        &[],
        wide::patches,
    ),
    attack(
        "exports",
        "exports of 200,000 ticks that nobody takes",
        700,
        Market { symbols: 1, ticks: 200_000, extras: 200, prefix: "EXP" },
        &[],
        stalls::exports,
    ),
    attack(
        "answers",
        "answers with the whole market that nobody takes",
        20,
        Market { symbols: 100_000, ticks: 100_000, extras: 980, prefix: "W" },
        &[],
        stalls::answers,
    ),
    attack(
        "windows",
        "HTTP/2 connections with no window, 200 requests each",
        5,
        Market { symbols: 5_000, ticks: 5_000, extras: 200, prefix: "H" },
        &[],
        windows::windows,
    ),
    attack(
        "patterns",
        "streams with patterns of their own that all leave at once",
        6_000,
        Market { symbols: 5_000, ticks: 5_000, extras: 0, prefix: "S" },
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
    Attack { name, what, size, market, server, act }
}
