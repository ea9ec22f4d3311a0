//! The compatibility route for a `broadcast` channel: `routes()` must always behave like the usual
//! Axum handler.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use tickcast::{PriceTick, routes};
use tokio::sync::broadcast::{self, Sender};
use tokio_stream::wrappers::BroadcastStream;
use tower::ServiceExt;

use crate::client::Reader;
use crate::server::eventually;

/// Returns the usual handler: one Axum handler and one channel.
fn textbook(ticks: Sender<PriceTick>) -> Router {
    async fn prices_stream(
        State(ticks): State<Sender<PriceTick>>,
    ) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
        let events = BroadcastStream::new(ticks.subscribe()).filter_map(|tick| async {
            let tick = tick.ok()?;
            Some(Ok(Event::default()
                .event("tick")
                .id(&tick.symbol)
                .json_data(&tick)
                .ok()?))
        });
        Sse::new(events).keep_alive(
            KeepAlive::new()
                .interval(Duration::from_secs(15))
                .text("keep-alive"),
        )
    }
    Router::new()
        .route("/prices/stream", get(prices_stream))
        .with_state(ticks)
}

fn tick(symbol: impl Into<String>, price: f64) -> PriceTick {
    PriceTick {
        symbol: symbol.into(),
        price,
        change: price / 7.0,
    }
}

/// Returns all kinds of ticks, with invalid symbol names and with prices that are not numbers.
fn random_ticks(count: usize) -> Vec<PriceTick> {
    let mut random = fastrand::Rng::with_seed(1);
    let names = [
        "AAPL",
        "BTC-USD",
        "S&P 500",
        "日経225",
        "",
        "a,b*c",
        "\"quoted\\\"",
        &"long".repeat(50),
    ];
    (0..count)
        .map(|i| {
            let price = match random.u8(..20) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => -0.0,
                3 => random.f64() * 1e300,
                _ => (random.f64() * 1e6).round() / 100.0,
            };
            PriceTick {
                symbol: names[random.usize(..names.len())].to_owned(),
                price,
                change: i as f64,
            }
        })
        .collect()
}

/// Serves an application and returns the URL of its stream.
async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prices/stream", listener.local_addr().unwrap());
    tokio::spawn(tickcast::serve(listener, app).into_future());
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_send_the_same_events_as_the_usual_handler() {
    const COUNT: usize = 10_000;
    let (ticks, _) = broadcast::channel(16_384);
    let (ours, theirs) = (
        serve(routes(ticks.clone())).await,
        serve(textbook(ticks.clone())).await,
    );
    let http = reqwest::Client::new();
    let (mut ours, mut theirs) = (
        Reader::get(&http, &ours).await,
        Reader::get(&http, &theirs).await,
    );
    // A reader that has received the response head is subscribed.
    for tick in random_ticks(COUNT) {
        ticks.send(tick).unwrap();
    }
    for i in 0..COUNT {
        let (our, their) = (ours.event().await.unwrap(), theirs.event().await.unwrap());
        assert_eq!(
            (our.event, our.id, our.data),
            (their.event, their.id, their.data),
            "tick {i}"
        );
    }
}

#[tokio::test]
async fn a_stream_has_exactly_the_promised_bytes() {
    let (ticks, _) = broadcast::channel(16);
    let response = routes(ticks.clone()).oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        response.headers()["cache-control"],
        "no-store, no-transform"
    );
    ticks
        .send(PriceTick {
            symbol: "AAPL".to_owned(),
            price: 189.5,
            change: -0.25,
        })
        .unwrap();
    drop(ticks);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (retry, rest) = body
        .strip_prefix("retry: ")
        .unwrap()
        .split_once('\n')
        .unwrap();
    assert!((2000..=5000).contains(&retry.parse::<u32>().unwrap()));
    let event =
        "event: tick\ndata: {\"symbol\":\"AAPL\",\"price\":189.5,\"change\":-0.25}\nid: AAPL\n\n";
    assert_eq!(rest, format!(": tickcast\n{event}"));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_sends_a_keep_alive_every_15_seconds() {
    let (ticks, _) = broadcast::channel(16);
    let mut body = routes(ticks.clone())
        .oneshot(request())
        .await
        .unwrap()
        .into_body();
    let start = tokio::time::Instant::now();
    let mut next = async || {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        (
            String::from_utf8(data.to_vec()).unwrap(),
            start.elapsed().as_secs(),
        )
    };
    assert!(next().await.0.starts_with("retry: "));
    assert_eq!(next().await, (": keep-alive\n".to_owned(), 15));
    tokio::time::sleep(Duration::from_secs(10)).await;
    ticks.send(tick("A", 1.0)).unwrap();
    assert_eq!(next().await.1, 25);
    assert_eq!(
        next().await,
        (": keep-alive\n".to_owned(), 40),
        "an event restarts the keep-alive interval"
    );
    assert_eq!(next().await, (": keep-alive\n".to_owned(), 55));
}

#[tokio::test]
async fn a_reader_receives_only_ticks_sent_after_it_subscribed() {
    let (ticks, _) = broadcast::channel(1024);
    let app = routes(ticks.clone());
    let early = app.clone().oneshot(request()).await.unwrap();
    for price in 0..100 {
        // When the second reader joins, none of these ticks has been moved yet: the runtime has not
        // run.
        ticks.send(tick("A", f64::from(price))).unwrap();
    }
    let late = app.oneshot(request()).await.unwrap();
    ticks.send(tick("A", 100.0)).unwrap();
    drop(ticks);
    let count = async |response: axum::response::Response| {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec())
            .unwrap()
            .matches("event: tick")
            .count()
    };
    assert_eq!((count(early).await, count(late).await), (101, 1));
}

#[tokio::test]
async fn routes_merge_into_a_router_and_free_everything_on_drop() {
    let (ticks, _) = broadcast::channel(16);
    let app = Router::new()
        .route("/", get(|| async { "mine" }))
        .merge(routes(ticks.clone()));
    let own = app
        .clone()
        .oneshot(axum::http::Request::new(axum::body::Body::empty()))
        .await
        .unwrap();
    assert_eq!(own.into_body().collect().await.unwrap().to_bytes(), "mine");
    assert_eq!(
        ticks.receiver_count(),
        0,
        "without readers there is no receiver"
    );
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(app.clone().oneshot(request()).await.unwrap().into_body());
    }
    let received = ticks.receiver_count();
    assert!(
        received > 0 && received <= 2,
        "ten readers share {received} receivers"
    );
    drop(app);
    ticks.send(tick("A", 1.0)).unwrap();
    for reader in &mut readers {
        assert!(reader.frame().await.is_some(), "streams outlive the router");
    }
    drop(readers);
    eventually(async || ticks.receiver_count() == 0).await;
    assert_eq!(ticks.strong_count(), 1, "no other sender is left");
}

#[tokio::test]
async fn an_overflowing_channel_is_no_error_for_a_reader() {
    let (ticks, _) = broadcast::channel(4);
    let response = routes(ticks.clone()).oneshot(request()).await.unwrap();
    for price in 0..100 {
        ticks.send(tick("A", f64::from(price))).unwrap();
    }
    drop(ticks);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(body.matches("event: tick").count(), 4);
    assert!(body.contains("\"price\":99.0"));
}

fn request() -> axum::http::Request<axum::body::Body> {
    axum::http::Request::get("/prices/stream")
        .body(axum::body::Body::empty())
        .unwrap()
}
