//! The rules an exchange holds its clients to.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::options::Exchange;

const SECOND: Duration = Duration::from_secs(1);

/// What holds on every connection of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How many messages a client may send in a second.
    pub(crate) messages: Option<usize>,
    /// Whether that is counted over all connections rather than for each.
    pub(crate) shared: bool,
    /// Whether ping and pong frames count too.
    pub(crate) frames: bool,
    /// How often the server pings; a pong is due within [`PONG`].
    pub(crate) ping: Option<Duration>,
    /// How soon a subscribe message is due.
    pub(crate) subscribe: Option<Duration>,
    /// After how long without a message either way the server closes.
    pub(crate) idle: Option<Duration>,
    /// How often there is a heartbeat, for those who subscribe to it.
    pub(crate) heartbeat: Option<Duration>,
    /// Whether heartbeats are left out while data flows.
    pub(crate) idle_beat: bool,
}

/// How long a client has to answer a ping.
pub(crate) const PONG: Duration = Duration::from_secs(60);

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
            idle_beat: false,
        };
        let seconds = |count| Some(Duration::from_secs(count));
        match exchange {
            Exchange::Binance => Self { messages: Some(5), frames: true, ping: seconds(20), ..none },
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
            // A little over a second, so that trades one second apart are not taken for idleness.
            Exchange::Kraken => Self {
                idle: seconds(60),
                heartbeat: Some(Duration::from_millis(1050)),
                idle_beat: true,
                ..none
            },
        }
    }
}

/// Counts what happened within a span of time just past.
#[derive(Debug, Default)]
pub(crate) struct Meter(VecDeque<Instant>);

impl Meter {
    /// Counts one more, and gives how many there now are within the span.
    pub(crate) fn count(&mut self, now: Instant, span: Duration) -> usize {
        while self.0.pop_front_if(|at| now.duration_since(*at) >= span).is_some() {}
        self.0.push_back(now);
        self.0.len()
    }

    /// Counts a message, and gives how many came within this second.
    pub(crate) fn message(&mut self, now: Instant) -> usize {
        self.count(now, SECOND)
    }
}

/// The limit on how often a client may connect. Refused attempts count as well, as they do at the exchanges.
#[derive(Debug)]
pub(crate) enum Gate {
    /// So many within a span.
    Window { most: usize, span: Duration, meter: Meter },
    /// So many a second, and a store of unused ones for a burst.
    Bucket { burst: u32, each: Duration, level: u32, filled: Instant },
}

impl Gate {
    pub(crate) fn of(exchange: Exchange, now: Instant) -> Self {
        let window = |most, seconds| Self::Window {
            most,
            span: Duration::from_secs(seconds),
            meter: Meter::default(),
        };
        match exchange {
            Exchange::Binance => window(300, 5 * 60),
            Exchange::Coinbase => Self::Bucket { burst: 20, each: SECOND / 8, level: 20, filled: now },
            Exchange::Advanced => window(8, 1),
            Exchange::Kraken => window(150, 10 * 60),
        }
    }

    /// Counts an attempt; an error says which limit it exceeds.
    pub(crate) fn pass(&mut self, now: Instant) -> Result<(), String> {
        match self {
            Self::Window { most, span, meter } => {
                let count = meter.count(now, *span);
                if count <= *most {
                    return Ok(());
                }
                Err(format!("{count} connects within {} s, at most {most} are allowed", span.as_secs()))
            }
            Self::Bucket { burst, each, level, filled } => {
                while *level < *burst && now.duration_since(*filled) >= *each {
                    *level += 1;
                    *filled += *each;
                }
                if *level == *burst {
                    *filled = now;
                }
                *level = level.checked_sub(1).ok_or_else(|| {
                    format!("connects at more than one each {} ms after a burst of {burst}", each.as_millis())
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
    fn limits_connects() {
        let now = Instant::now();
        let passed = |exchange, at: &dyn Fn(u32) -> Duration, tries: u32| {
            let mut gate = Gate::of(exchange, now);
            (0..tries).filter(|n| gate.pass(now + at(*n)).is_ok()).count()
        };
        assert_eq!(passed(Exchange::Binance, &|_| Duration::ZERO, 310), 300);
        assert_eq!(passed(Exchange::Binance, &|n| SECOND * n, 900), 900);
        assert_eq!(passed(Exchange::Coinbase, &|_| Duration::ZERO, 30), 20);
        assert_eq!(passed(Exchange::Coinbase, &|n| SECOND / 8 * n, 100), 100);
        assert_eq!(passed(Exchange::Advanced, &|_| Duration::ZERO, 10), 8);
        assert_eq!(passed(Exchange::Kraken, &|n| SECOND * n, 160), 150);
    }
}
