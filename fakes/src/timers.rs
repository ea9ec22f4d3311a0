//! The times at which something happens on a connection by itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Rules;

/// How long an acknowledgement is held back at most, when no data comes that could go before it.
pub(crate) const LATE: Duration = Duration::from_secs(5);

/// How long after its announcement Binance cuts the connection.
pub(crate) const NOTICE: Duration = Duration::from_secs(10);

/// Each is `None` while nothing is due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The connection is cut, for its age.
    pub(crate) life: Option<Instant>,
    /// The connection is cut, as announced.
    pub(crate) cut: Option<Instant>,
    /// A subscribe message is overdue.
    pub(crate) subscribe: Option<Instant>,
    /// A ping is sent.
    pub(crate) ping: Option<Instant>,
    /// A pong is overdue.
    pub(crate) pong: Option<Instant>,
    /// A heartbeat is sent.
    pub(crate) heartbeat: Option<Instant>,
    /// The connection has been idle for too long.
    pub(crate) idle: Option<Instant>,
    /// Acknowledgements are sent even though no data came before them.
    pub(crate) late: Option<Instant>,
}

impl Timers {
    pub(crate) fn new(rules: &Rules, life: Duration) -> Self {
        let now = Instant::now();
        let after = |wait: Duration| now.checked_add(wait);
        Self {
            life: after(life),
            subscribe: rules.subscribe.and_then(after),
            ping: rules.ping.and_then(after),
            heartbeat: rules.heartbeat.and_then(after),
            idle: rules.idle.and_then(after),
            ..Self::default()
        }
    }

    /// Waits for whichever comes first.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + Send + use<> {
        let &Self { life, cut, subscribe, ping, pong, heartbeat, idle, late } = self;
        let first = [life, cut, subscribe, ping, pong, heartbeat, idle, late].into_iter().flatten().min();
        until(first)
    }
}

/// Waits until then, or for ever.
pub(crate) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Whether a time has come.
pub(crate) fn due(time: Option<Instant>, now: Instant) -> bool {
    time.is_some_and(|time| time <= now)
}
