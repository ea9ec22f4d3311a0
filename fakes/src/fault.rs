//! The faults of a fake, and their names at the terminal.

use std::str::FromStr;

use anyhow::{Context as _, bail};

/// A way in which an exchange can misbehave. "Next" means the market's next event, of any symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Data stops on the open connections. Pings, heartbeats and acknowledgements continue. New
    /// connections are not affected.
    Silence,
    /// While `true`, no trade happens, so no client receives data. Heartbeats and pings continue.
    Halt(bool),
    /// The open connections stop sending and reading, and their sockets stay open.
    Dead,
    /// The given number of next trades happen but are not sent. The record lists the trades as
    /// withheld.
    Gap(u32),
    /// The next message is sent twice.
    Duplicate,
    /// The next two messages of one symbol are sent in reverse order.
    Swap,
    /// The next message has an invalid time.
    Time(BadTime),
    /// An extra message of the first symbol: bid, ask and last are zero, and the time, if there is
    /// a time field, is 1970. The message is no trade.
    ZeroQuote,
    /// An extra text frame with this text, to all open connections.
    Raw(String),
    /// An extra text frame of this number of bytes: valid JSON of an unknown type.
    Big(usize),
    /// An extra text frame that is not UTF-8.
    NotUtf8,
    /// An extra binary frame.
    Binary,
    /// The open sockets are dropped without a close frame.
    Abrupt,
    /// The open connections receive a close frame, then end.
    Close(u16, String),
    /// A planned restart. Binance announces the restart and cuts after ten seconds. The other
    /// exchanges close with code 1001.
    Shutdown,
    /// The given number of next attempts to connect is answered with an HTTP status.
    Refuse {
        /// The number of attempts.
        times: u32,
        /// The HTTP status.
        status: u16,
        /// Seconds for the `Retry-After` header.
        retry_after: Option<u32>,
    },
    /// The given number of next connections is accepted and closed at once.
    Flap(u32),
    /// While `true`, data is sent before the acknowledgement of a subscription.
    LateAck(bool),
    /// The state of Kraken's trading engine, sent to all current and later connections: `online`,
    /// `maintenance`, `cancel_only`, `post_only`.
    System(String),
}

/// An invalid time that a client must not believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTime {
    /// The year 1, which is Go's zero time. For Binance: 0, because Binance's times are numbers.
    YearOne,
    /// The start of 1970.
    Epoch,
    /// One year ahead.
    Future,
    /// The time field is missing.
    Missing,
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    /// Parses a fault as typed at the terminal, such as `gap 3` or `close 1008 too many`.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (name, rest) = word(line);
        Ok(match name {
            "silence" => Self::Silence,
            "halt" => Self::Halt(switch(rest)?),
            "dead" => Self::Dead,
            "gap" => Self::Gap(number(rest)?),
            "duplicate" => Self::Duplicate,
            "swap" => Self::Swap,
            "time" => Self::Time(rest.parse()?),
            "zero-quote" => Self::ZeroQuote,
            "raw" => Self::Raw(rest.to_owned()),
            "big" => Self::Big(number(rest)?),
            "not-utf8" => Self::NotUtf8,
            "binary" => Self::Binary,
            "abrupt" => Self::Abrupt,
            "close" => {
                let (code, reason) = word(rest);
                Self::Close(number(code)?, reason.to_owned())
            }
            "shutdown" => Self::Shutdown,
            "refuse" => refuse(rest)?,
            "flap" => Self::Flap(number(rest)?),
            "late-ack" => Self::LateAck(switch(rest)?),
            "system" => Self::System(rest.to_owned()),
            _ => bail!(
                "no fault is called {name:?}; there are silence, halt on|off, dead, gap N, duplicate, swap, \
                 time year-one|epoch|future|missing, zero-quote, raw TEXT, big BYTES, not-utf8, binary, abrupt, \
                 close CODE REASON, shutdown, refuse TIMES STATUS [SECONDS], flap N, \
                 late-ack on|off and system STATE"
            ),
        })
    }
}

impl FromStr for BadTime {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "year-one" => Self::YearOne,
            "epoch" => Self::Epoch,
            "future" => Self::Future,
            "missing" => Self::Missing,
            _ => bail!("a bad time is year-one, epoch, future or missing, not {name:?}"),
        })
    }
}

fn refuse(rest: &str) -> anyhow::Result<Fault> {
    let (times, rest) = word(rest);
    let (status, seconds) = word(rest);
    let status: u16 = number(status)?;
    // A status below 300 would be no refusal.
    anyhow::ensure!(
        (300..600).contains(&status),
        "a refusal has a status between 300 and 599, not {status}"
    );
    let retry_after = if seconds.is_empty() {
        None
    } else {
        Some(number(seconds)?)
    };
    Ok(Fault::Refuse {
        times: number(times)?,
        status,
        retry_after,
    })
}

fn word(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once(char::is_whitespace)
        .map_or((line, ""), |(first, rest)| (first, rest.trim_start()))
}

fn switch(word: &str) -> anyhow::Result<bool> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => bail!("on or off, not {word:?}"),
    }
}

fn number<N>(word: &str) -> anyhow::Result<N>
where
    N: FromStr,
    N::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse()
        .with_context(|| format!("{word:?} is no number that fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_parsed_by_name() {
        let read = |line: &str| line.parse::<Fault>().expect("a fault");
        assert_eq!(read(" halt on "), Fault::Halt(true));
        assert_eq!(read("gap 3"), Fault::Gap(3));
        assert_eq!(read("time year-one"), Fault::Time(BadTime::YearOne));
        assert_eq!(read("raw {\"a\": 1}"), Fault::Raw("{\"a\": 1}".to_owned()));
        assert_eq!(
            read("close 1008 too many"),
            Fault::Close(1008, "too many".to_owned())
        );
        assert_eq!(
            read("refuse 3 429 5"),
            Fault::Refuse {
                times: 3,
                status: 429,
                retry_after: Some(5)
            }
        );
        assert_eq!(
            read("system post_only"),
            Fault::System("post_only".to_owned())
        );
        assert_eq!(
            read("refuse 1 503"),
            Fault::Refuse {
                times: 1,
                status: 503,
                retry_after: None
            }
        );
        for wrong in [
            "",
            "halt",
            "gap many",
            "time late",
            "refuse 1 99999",
            "fall over",
        ] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}
