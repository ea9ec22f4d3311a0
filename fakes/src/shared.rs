//! The shared state of a fake's connections: the market, the waiting faults and the record.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::events::{ConnectionFault, MarketEvent, PendingFaults};
use crate::fault::Fault;
use crate::handshake::Admission;
use crate::limits::{ConnectLimit, Meter};
use crate::market::{Market, Tick};
use crate::options::{Exchange, Options};
use crate::record::{Connect, Record, TradeList};

/// Maximum number of events that a connection may be behind. A client that reads is never so far
/// behind.
const MAX_BACKLOG: usize = 1 << 16;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) started: Instant,
    events: broadcast::Sender<MarketEvent>,
    state: Mutex<State>,
}

struct State {
    market: Market,
    pending_faults: PendingFaults,
    connect_limit: ConnectLimit,
    /// The message counter of exchanges that count the messages of all connections together.
    messages: Meter,
    halted: bool,
    late_ack: bool,
    /// The state of the trading engine, for exchanges that send the state.
    system: String,
    flaps: u32,
    /// Pairs of the number of refusals and the response.
    refusals: VecDeque<(u32, Admission)>,
    connects: Vec<Connect>,
    violations: Vec<String>,
    sent: TradeList,
    withheld: TradeList,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        let started = Instant::now();
        let state = State {
            market: Market::new(
                options.exchange,
                &options.symbols,
                options.seed,
                options.start,
            ),
            pending_faults: PendingFaults::default(),
            connect_limit: ConnectLimit::of(options.exchange, started),
            messages: Meter::default(),
            halted: false,
            late_ack: false,
            system: "online".to_owned(),
            flaps: 0,
            refusals: VecDeque::new(),
            connects: Vec::new(),
            violations: Vec::new(),
            sent: TradeList::default(),
            withheld: TradeList::default(),
        };
        Self {
            options,
            started,
            events: broadcast::Sender::new(MAX_BACKLOG),
            state: Mutex::new(state),
        }
    }

    /// Returns the time since the start of the fake.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the exchange's clock.
    pub(crate) fn now(&self) -> i64 {
        self.time(Instant::now())
    }

    fn time(&self, at: Instant) -> i64 {
        let uptime = at.duration_since(self.started).as_millis();
        self.options.start + i64::try_from(uptime).unwrap_or(i64::MAX / 2)
    }

    /// Makes one trade of each symbol. The trades are sent under the lock, so that a new connection
    /// receives each event exactly once.
    pub(crate) fn step(&self, at: Instant) {
        let state = &mut *self.lock();
        if state.halted {
            return;
        }
        for index in 0..state.market.len() {
            let tick = state.market.trade(index, self.time(at));
            let event = state.pending_faults.apply(tick.clone());
            let withheld = matches!(event, Some(MarketEvent::Withheld(_)));
            if withheld {
                &mut state.withheld
            } else {
                &mut state.sent
            }
            .push(&tick);
            if let Some(event) = event {
                self.broadcast_event(event);
            }
        }
    }

    pub(crate) fn misbehave(&self, fault: Fault) {
        let state = &mut *self.lock();
        let fault = match fault {
            Fault::Halt(on) => return state.halted = on,
            Fault::LateAck(on) => return state.late_ack = on,
            Fault::Gap(count) => return state.pending_faults.gap += count,
            Fault::Duplicate => return state.pending_faults.duplicates += 1,
            Fault::Swap => return state.pending_faults.swaps += 1,
            Fault::Time(time) => return state.pending_faults.times.push_back(time),
            Fault::Flap(times) => return state.flaps += times,
            Fault::Refuse {
                times,
                status,
                retry_after,
            } => {
                return state.refusals.push_back((
                    times,
                    Admission::Refuse {
                        status,
                        retry_after,
                    },
                ));
            }
            Fault::ZeroQuote => {
                if let Some(tick) = state.market.unquoted() {
                    self.broadcast_event(MarketEvent::Unquoted(Arc::new(tick)));
                }
                return;
            }
            Fault::System(system) => {
                state.system.clone_from(&system);
                ConnectionFault::System(system)
            }
            Fault::Silence => ConnectionFault::Silence,
            Fault::Dead => ConnectionFault::Dead,
            Fault::Raw(text) => ConnectionFault::Frame(Message::text(text)),
            Fault::Big(size) => ConnectionFault::Frame(Message::text(big(size))),
            Fault::NotUtf8 => {
                let text = OpCode::Data(Data::Text);
                ConnectionFault::Frame(Message::Frame(Frame::message(
                    vec![b'{', 0xff, 0xfe, b'}'],
                    text,
                    true,
                )))
            }
            Fault::Binary => ConnectionFault::Frame(Message::binary(vec![0, 1, 2, 0xff])),
            Fault::Abrupt => ConnectionFault::Abrupt,
            Fault::Close(code, reason) => ConnectionFault::Close(code, reason),
            Fault::Shutdown if self.options.exchange == Exchange::Binance => {
                ConnectionFault::Shutdown
            }
            Fault::Shutdown => ConnectionFault::Close(1001, "going away".to_owned()),
        };
        self.broadcast_event(MarketEvent::Fault(fault));
    }

    pub(crate) fn record(&self) -> Record {
        let state = self.lock();
        Record {
            connects: state.connects.clone(),
            violations: state.violations.clone(),
            sent: state.sent.trades(&state.market),
            withheld: state.withheld.trades(&state.market),
        }
    }

    /// Records an attempt to connect and decides whether to accept the connection.
    pub(crate) fn admit(&self) -> (usize, Admission) {
        let (at, now) = (self.uptime(), Instant::now());
        let state = &mut *self.lock();
        let number = state.connects.len();
        state.connects.push(Connect {
            at,
            ..Connect::default()
        });
        if let Err(violation) = state.connect_limit.check_attempt(now) {
            state.violate(at, number, &violation);
            return (
                number,
                Admission::Refuse {
                    status: 429,
                    retry_after: None,
                },
            );
        }
        while let Some((times, admission)) = state.refusals.front_mut() {
            if let Some(left) = times.checked_sub(1) {
                *times = left;
                return (number, *admission);
            }
            state.refusals.pop_front();
        }
        if let Some(left) = state.flaps.checked_sub(1) {
            state.flaps = left;
            return (number, Admission::Flap);
        }
        (number, Admission::Serve)
    }

    /// Records an open connection. Returns a receiver of all later events, and the state of the
    /// market before these events.
    pub(crate) fn open_connection(
        &self,
        number: usize,
    ) -> (broadcast::Receiver<MarketEvent>, Vec<Arc<Tick>>) {
        let state = &mut *self.lock();
        state.connects[number].accepted = true;
        (self.events.subscribe(), state.market.latest())
    }

    pub(crate) fn record_message(&self, number: usize, text: &str) {
        let at = self.uptime();
        self.lock().connects[number]
            .messages
            .push((at, text.to_owned()));
    }

    pub(crate) fn record_pong(&self, number: usize) {
        self.lock().connects[number].pongs += 1;
    }

    pub(crate) fn ended(&self, number: usize, why: String) {
        self.lock().connects[number].ended = Some(why);
    }

    pub(crate) fn violate(&self, number: usize, what: &str) {
        let at = self.uptime();
        self.lock().violate(at, number, what);
    }

    pub(crate) fn system(&self) -> String {
        self.lock().system.clone()
    }

    pub(crate) fn late_ack(&self) -> bool {
        self.lock().late_ack
    }

    /// Counts a message of any connection and returns the number of messages in the last second.
    pub(crate) fn count_message(&self) -> usize {
        self.lock().messages.message(Instant::now())
    }

    fn broadcast_event(&self, event: MarketEvent) {
        // An error means only that no client is connected.
        let _ = self.events.send(event);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn violate(&mut self, at: Duration, number: usize, what: &str) {
        self.violations.push(format!(
            "{:.3} s, connection {number}: {what}",
            at.as_secs_f64()
        ));
    }
}

/// Returns valid JSON of exactly `size` bytes, unless `size` is smaller than the envelope.
fn big(size: usize) -> String {
    let (head, tail) = (
        r#"{"type":"unheard_of","channel":"unheard_of","pad":""#,
        r#""}"#,
    );
    let pad = size.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(pad))
}
