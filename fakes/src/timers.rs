//! The timers of a connection.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Rules;

/// Maximum delay of an acknowledgement, if no data comes that could be sent first.
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_secs(5);

/// Time between Binance's announcement of a restart and the cut.
pub(crate) const RESTART_NOTICE: Duration = Duration::from_secs(10);

/// The next time of each timer; `None` if a timer is not set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The connection is cut because of its age.
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
    /// Delayed acknowledgements are sent, even without data before them.
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

    /// Waits for the earliest timer.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + Send + use<> {
        let &Self {
            life,
            cut,
            subscribe,
            ping,
            pong,
            heartbeat,
            idle,
            late,
        } = self;
        let first = [life, cut, subscribe, ping, pong, heartbeat, idle, late]
            .into_iter()
            .flatten()
            .min();
        until(first)
    }
}

/// Waits until `then`, or forever if `then` is `None`.
pub(crate) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Returns whether the time has come.
pub(crate) fn due(time: Option<Instant>, now: Instant) -> bool {
    time.is_some_and(|time| time <= now)
}
