//! Compatibility route for a `broadcast` channel of price ticks.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tickcast_core::{Frame, Limits, Price, PriceError, Symbol, Tick, TickError};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::task::AbortHandle;

use crate::http::stream;
use crate::hub::Hub;
use crate::subscription::Subscription;

/// Maximum number of ticks that are moved per lock of the market, which keeps the lock short.
const BATCH: usize = 512;

/// Maximum number of names in one channel. The names come from the application itself, so the limit
/// is only a safety bound.
const MAX_NAMES: usize = 10_000_000;

/// One new price of one symbol, for a `broadcast` channel. Pass the sender of the channel to
/// [`routes`]. `Tick::try_from(&tick)` converts it for a [`Hub`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceTick {
    /// The symbol that has the price. [`routes`] accepts any text.
    pub symbol: String,
    /// The price.
    pub price: f64,
    /// The absolute change of the price.
    pub change: f64,
}

/// Serves the ticks of a channel at `GET /prices/stream` as Server-Sent Events.
///
/// Every tick sent into the channel reaches every connected client as one event: `event: tick`,
/// `id: <symbol>`, `data: {"symbol":…,"price":…,"change":…}`. A client receives the ticks that are
/// sent after its subscription. After 15 s without an event, the client receives a comment as a
/// keep-alive. A client that cannot keep up receives the newest tick of each symbol that changed
/// (conflation).
///
/// Merge the router into any other router; for a router with state, call `with_state(())` on this
/// one first. No start-up call is needed. Dropping the router and its streams frees everything. A
/// stream ends when every sender is gone; the router itself holds one sender.
///
/// ```
/// use tickcast::{PriceTick, routes};
/// use tokio::sync::broadcast;
///
/// let (ticks, _) = broadcast::channel(1024);
/// let app: axum::Router = axum::Router::new().merge(routes(ticks.clone()));
/// let _ = ticks.send(PriceTick { symbol: "AAPL".into(), price: 189.5, change: 0.25 });
/// ```
pub fn routes(ticks: Sender<PriceTick>) -> Router {
    let channel = Arc::new(Channel {
        ticks,
        feed: Mutex::default(),
    });
    Router::new()
        .route("/prices/stream", get(prices_stream))
        .with_state(channel)
}

/// A channel, and the feed that exists while the channel has readers.
struct Channel {
    ticks: Sender<PriceTick>,
    feed: Mutex<Weak<Feed>>,
}

/// A task that moves ticks from a channel into a hub. Each reader holds the feed, and the feed
/// stops with its last reader.
struct Feed {
    hub: Hub,
    inlet: Arc<ChannelReader>,
    pump: AbortHandle,
}

/// The receiving end of a channel. A new reader empties the channel first, so that the reader does
/// not receive older ticks.
struct ChannelReader(Mutex<Receiver<PriceTick>>);

async fn prices_stream(State(channel): State<Arc<Channel>>) -> Response {
    let feed = channel.feed();
    let events = stream::events(&feed.hub, Subscription::default().without_snapshot());
    stream::response(events.keeping(feed))
}

impl Channel {
    /// Returns the current feed, or a new feed. The feed has already moved all ticks that were sent
    /// so far.
    fn feed(&self) -> Arc<Feed> {
        let mut current = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = current.upgrade() {
            feed.inlet.empty_into(&feed.hub);
            return feed;
        }
        let hub = Hub::builder()
            .limits(Limits::default().symbols(MAX_NAMES))
            .build();
        // The wake-up receiver must subscribe first, so that a tick between the two calls still
        // causes a wake-up.
        let bell = self.ticks.subscribe();
        let inlet = Arc::new(ChannelReader(Mutex::new(self.ticks.subscribe())));
        let pump = tokio::spawn(pump(bell, Arc::clone(&inlet), hub.clone())).abort_handle();
        let feed = Arc::new(Feed { hub, inlet, pump });
        *current = Arc::downgrade(&feed);
        feed
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Empties the channel whenever `bell`, a second receiver of the same channel, receives a tick.
/// Ends the streams when all senders are gone.
async fn pump(mut bell: Receiver<PriceTick>, inlet: Arc<ChannelReader>, hub: Hub) {
    while !matches!(bell.recv().await, Err(RecvError::Closed)) {
        inlet.empty_into(&hub);
        // The ticks that were just moved are also in `bell`.
        for _ in 0..bell.len() {
            let _ = bell.try_recv();
        }
        inlet.empty_into(&hub);
        tokio::task::yield_now().await;
    }
    inlet.empty_into(&hub);
    hub.end_when_caught_up();
}

impl ChannelReader {
    /// Moves the ticks that are in the channel now. The count is fixed first, so that a sender that
    /// never stops cannot keep this function busy.
    fn empty_into(&self, hub: &Hub) {
        let mut inlet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = inlet.len();
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            let now = hub.now();
            let frames = (0..batch).map_while(|_| receive(&mut inlet)).flatten();
            let dropped = hub.log().append_frames(frames, now);
            if dropped > 0 {
                tracing::debug!(
                    dropped,
                    limit = MAX_NAMES,
                    "ticks are not delivered: too many names"
                );
            }
        }
    }
}

/// Receives the next tick and encodes it. Returns `None` if the channel is empty, and `Some(None)`
/// if there is nothing to deliver this time.
fn receive(ticks: &mut Receiver<PriceTick>) -> Option<Option<(Symbol, Frame)>> {
    match ticks.try_recv() {
        Ok(tick) => {
            // `serde_json` could only reject a map with keys that are not text. There is no such
            // map here.
            let json = serde_json::to_string(&tick).ok();
            Some(json.map(|json| (key(&tick.symbol), Frame::verbatim(&tick.symbol, &json))))
        }
        Err(TryRecvError::Lagged(missed)) => {
            tracing::debug!(missed, "the channel overflowed");
            Some(None)
        }
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// Returns the key of a symbol. The route accepts any name. A name that is not a valid [`Symbol`]
/// is stored under its hash, which is enough to conflate its ticks.
fn key(name: &str) -> Symbol {
    Symbol::new(name).unwrap_or_else(|_| {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        Symbol::new(&format!("={hash:016x}"))
            .unwrap_or_else(|_| unreachable!("a dozen hex digits are a symbol"))
    })
}

impl TryFrom<&PriceTick> for Tick {
    type Error = TickError;

    /// Converts a tick for a [`Hub`].
    ///
    /// # Errors
    /// If the symbol is not a valid [`Symbol`], or if the price or the change is NaN, is infinite
    /// or has more than 28 digits.
    fn try_from(tick: &PriceTick) -> Result<Self, TickError> {
        let amount = |field, value: f64| {
            Price::try_from(value).map_err(|error: PriceError| TickError::Price { field, error })
        };
        let mut converted = Self::new(Symbol::new(&tick.symbol)?, amount("price", tick.price)?);
        converted.change = Some(amount("change", tick.change)?);
        Ok(converted)
    }
}
