//! The rules of an exchange for its clients.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::options::Exchange;

const SECOND: Duration = Duration::from_secs(1);

/// The rules on every connection of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Maximum number of client messages per second.
    pub(crate) messages: Option<usize>,
    /// Whether the limit counts the messages of all connections together.
    pub(crate) shared: bool,
    /// Whether ping and pong frames count too.
    pub(crate) frames: bool,
    /// The interval of the server's pings. A pong is due within [`PONG_TIMEOUT`].
    pub(crate) ping: Option<Duration>,
    /// Maximum time until the first subscribe message.
    pub(crate) subscribe: Option<Duration>,
    /// Maximum time without a message in either direction. After this time the server closes.
    pub(crate) idle: Option<Duration>,
    /// The interval of heartbeats, for clients that subscribe to heartbeats.
    pub(crate) heartbeat: Option<Duration>,
    /// Whether the server skips heartbeats while data flows.
    pub(crate) idle_heartbeat: bool,
}

/// Maximum time for a client to answer a ping.
pub(crate) const PONG_TIMEOUT: Duration = Duration::from_secs(60);

impl Rules {
    pub(crate) fn of(exchange: Exchange) -> Self {
        let none = Self {
            messages: None,
            shared: false,
            frames: false,
            ping: None,
            subscribe: None,
            idle: None,
            heartbeat: None,
            idle_heartbeat: false,
        };
        let seconds = |count| Some(Duration::from_secs(count));
        match exchange {
            Exchange::Binance => Self {
                messages: Some(5),
                frames: true,
                ping: seconds(20),
                ..none
            },
            Exchange::Coinbase => Self {
                messages: Some(100),
                shared: true,
                subscribe: seconds(5),
                heartbeat: seconds(1),
                ..none
            },
            Exchange::Advanced => Self {
                messages: Some(8),
                shared: true,
                subscribe: seconds(5),
                idle: seconds(90),
                heartbeat: seconds(1),
                ..none
            },
            // The interval is a little longer than a second, so that trades one second apart cause
            // no heartbeat.
            Exchange::Kraken => Self {
                idle: seconds(60),
                heartbeat: Some(Duration::from_millis(1050)),
                idle_heartbeat: true,
                ..none
            },
        }
    }
}

/// A counter of events in a sliding time window.
#[derive(Debug, Default)]
pub(crate) struct Meter(VecDeque<Instant>);

impl Meter {
    /// Counts one event and returns the number of events in the window.
    pub(crate) fn count(&mut self, now: Instant, span: Duration) -> usize {
        while self
            .0
            .pop_front_if(|at| now.duration_since(*at) >= span)
            .is_some()
        {}
        self.0.push_back(now);
        self.0.len()
    }

    /// Counts a message and returns the number of messages in the last second.
    pub(crate) fn message(&mut self, now: Instant) -> usize {
        self.count(now, SECOND)
    }
}

/// The limit on attempts to connect. Refused attempts count too, as at the real exchanges.
#[derive(Debug)]
pub(crate) enum ConnectLimit {
    /// At most `max` attempts within `span`.
    Window {
        max: usize,
        span: Duration,
        meter: Meter,
    },
    /// A token bucket: one token per `interval`, and at most `burst` unused tokens.
    Bucket {
        burst: u32,
        interval: Duration,
        level: u32,
        filled: Instant,
    },
}

impl ConnectLimit {
    pub(crate) fn of(exchange: Exchange, now: Instant) -> Self {
        let window = |max, seconds| Self::Window {
            max,
            span: Duration::from_secs(seconds),
            meter: Meter::default(),
        };
        match exchange {
            Exchange::Binance => window(300, 5 * 60),
            Exchange::Coinbase => Self::Bucket {
                burst: 20,
                interval: SECOND / 8,
                level: 20,
                filled: now,
            },
            Exchange::Advanced => window(8, 1),
            Exchange::Kraken => window(150, 10 * 60),
        }
    }

    /// Counts an attempt. Returns an error with the limit that the attempt exceeds.
    pub(crate) fn check_attempt(&mut self, now: Instant) -> Result<(), String> {
        match self {
            Self::Window { max, span, meter } => {
                let count = meter.count(now, *span);
                if count <= *max {
                    return Ok(());
                }
                Err(format!(
                    "{count} connects within {} s, at most {max} are allowed",
                    span.as_secs()
                ))
            }
            Self::Bucket {
                burst,
                interval,
                level,
                filled,
            } => {
                while *level < *burst && now.duration_since(*filled) >= *interval {
                    *level += 1;
                    *filled += *interval;
                }
                if *level == *burst {
                    *filled = now;
                }
                *level = level.checked_sub(1).ok_or_else(|| {
                    format!(
                        "connects at more than one each {} ms after a burst of {burst}",
                        interval.as_millis()
                    )
                })?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_connect_are_limited() {
        let now = Instant::now();
        let accepted = |exchange, at: &dyn Fn(u32) -> Duration, tries: u32| {
            let mut connect_limit = ConnectLimit::of(exchange, now);
            (0..tries)
                .filter(|n| connect_limit.check_attempt(now + at(*n)).is_ok())
                .count()
        };
        assert_eq!(accepted(Exchange::Binance, &|_| Duration::ZERO, 310), 300);
        assert_eq!(accepted(Exchange::Binance, &|n| SECOND * n, 900), 900);
        assert_eq!(accepted(Exchange::Coinbase, &|_| Duration::ZERO, 30), 20);
        assert_eq!(accepted(Exchange::Coinbase, &|n| SECOND / 8 * n, 100), 100);
        assert_eq!(accepted(Exchange::Advanced, &|_| Duration::ZERO, 10), 8);
        assert_eq!(accepted(Exchange::Kraken, &|n| SECOND * n, 160), 150);
    }
}
