//! Access: every route answers for the viewer of its request.

#![expect(clippy::unwrap_used, reason = "here a failed unwrap is a failed test")]

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tickcast::access::Viewer;
use tickcast::{Filter, Hub, Rate, Tick, Time};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

/// The text that only the forbidden symbols have, and their price.
const SECRET: &str = "SECRET";
const SECRET_PRICE: &str = "7777.25";

/// The routes that read one symbol.
const OF_A_SYMBOL: [&str; 3] = ["/v1/prices/", "/v1/candles/", "/v1/ticks/"];

/// The routes that read the market.
const OF_THE_MARKET: [&str; 6] = [
    "/v1/prices",
    "/v1/prices?symbols=*",
    "/v1/symbols",
    "/v1/symbols?q=s",
    "/v1/status",
    "/v1/prices?symbols=*1",
];

/// Returns a hub with the symbols `A`, `C1` and two symbols that our viewer may not read.
fn hub(require_viewer: bool) -> Hub {
    let hub = Hub::builder()
        .lanes(1)
        .require_viewer(require_viewer)
        .build();
    for (symbol, price) in [
        ("A", "1"),
        ("C1", "2"),
        ("SECRET1", SECRET_PRICE),
        ("SECRET2", SECRET_PRICE),
    ] {
        publish(&hub, symbol, price);
    }
    hub
}

fn publish(hub: &Hub, symbol: &str, price: &str) {
    let tick = format!(r#"{{"symbol":"{symbol}","price":{price}}}"#);
    hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
        .unwrap();
}

fn viewer() -> Viewer {
    Viewer::of(Filter::parse(["A", "C*"]).unwrap())
}

/// Sends a request as `viewer`.
async fn send(
    hub: &Hub,
    (method, path): (Method, &str),
    viewer: Option<Viewer>,
    body: &str,
) -> (StatusCode, Body) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.to_owned()))
        .unwrap();
    if let Some(viewer) = viewer {
        request.extensions_mut().insert(viewer);
    }
    let app: Router = hub.router();
    let response = app.oneshot(request).await.unwrap();
    (response.status(), response.into_body())
}

async fn get(hub: &Hub, path: &str, viewer: Option<Viewer>) -> (StatusCode, String) {
    let (status, body) = send(hub, (Method::GET, path), viewer, "").await;
    let body = body.collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A stream in progress.
struct Stream(Body, String);

impl Stream {
    async fn open(hub: &Hub, path: &str, viewer: Viewer) -> Self {
        let (status, body) = send(hub, (Method::GET, path), Some(viewer), "").await;
        assert_eq!(status, StatusCode::OK);
        Self(body, String::new())
    }

    /// Reads until `wanted` has come, and returns everything so far.
    async fn until(&mut self, wanted: &str) -> &str {
        while !self.1.contains(wanted) {
            let frame = self.0.frame().await.unwrap().unwrap();
            self.1
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        &self.1
    }

    async fn ready(&mut self) -> Value {
        let text = self.until("event: ready").await;
        let data = text.rsplit_once("event: ready\ndata: ").unwrap().1;
        serde_json::from_str(data.lines().next().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_forbidden_symbol_cannot_be_told_from_a_missing_one() {
    let hub = hub(false);
    for route in OF_A_SYMBOL {
        let answer =
            async |symbol: &str| get(&hub, &format!("{route}{symbol}"), Some(viewer())).await;
        let (there, missing) = (answer("SECRET1").await, answer("SECRET9").await);
        assert_eq!(there.0, StatusCode::FORBIDDEN, "{route}");
        assert_eq!(there.1.replace("SECRET1", "SECRET9"), missing.1, "{route}");
        assert_eq!(answer("C1").await.0, StatusCode::OK, "{route}");
        assert_eq!(answer("C9").await.0, StatusCode::NOT_FOUND, "{route}");
        // A suggestion would tell that there is such a symbol.
        let (status, text) = answer("secret1").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{route}");
        assert!(!text.contains(SECRET), "{route}: {text}");
        let (_, text) = answer("c1").await;
        assert!(!text.contains("C1"), "{route}: {text}: c1 is not permitted");
    }
    for list in [
        "/v1/prices?symbols=",
        "/v1/stream?symbols=",
        "/prices/stream?symbols=",
    ] {
        let refused = get(&hub, &format!("{list}A,SECRET1"), Some(viewer())).await;
        let missing = get(&hub, &format!("{list}A,SECRET9"), Some(viewer())).await;
        assert_eq!(refused.0, StatusCode::FORBIDDEN, "{list}");
        assert_eq!(refused.1.replace("SECRET1", "SECRET9"), missing.1, "{list}");
    }
}

#[tokio::test]
async fn lists_and_counts_have_only_what_the_viewer_may_read() {
    let hub = hub(false);
    for route in OF_THE_MARKET {
        let (status, text) = get(&hub, route, Some(viewer())).await;
        assert_eq!(status, StatusCode::OK, "{route}");
        assert!(
            !text.contains(SECRET) && !text.contains(SECRET_PRICE),
            "{route}: {text}"
        );
        let (_, text) = get(&hub, route, None).await;
        assert!(
            text.contains(SECRET) || route == "/v1/status",
            "{route}: {text}"
        );
    }
    let status = async |viewer| {
        let (_, text) = get(&hub, "/v1/status", viewer).await;
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (own, whole) = (status(Some(viewer())).await, status(None).await);
    assert_eq!(
        (&own["symbols"], &whole["symbols"]),
        (&Value::Null, &4.into())
    );
    assert_eq!(
        (&own["tape"], &whole["tape"]["ticks"]),
        (&Value::Null, &4.into())
    );
    assert_eq!(own["sources"][0]["accepted"], Value::Null);
    let named = Viewer::of(Filter::parse(["A", "SECRET9"]).unwrap());
    let (_, text) = get(&hub, "/v1/symbols", Some(named)).await;
    let names: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(names["symbols"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn streams_are_narrowed_and_stay_so() {
    let hub = hub(false);
    for route in [
        "/v1/stream",
        "/prices/stream",
        "/v1/stream?mode=all&since=start",
    ] {
        let mut stream = Stream::open(&hub, route, viewer()).await;
        stream.until(r#""symbol":"C1""#).await;
        publish(&hub, "SECRET1", "79");
        publish(&hub, "SECRET3", "80");
        publish(&hub, "C2", "3");
        let text = stream.until(r#""symbol":"C2""#).await;
        assert!(!text.contains(SECRET), "{route}: {text}");
    }
    let mut stream = Stream::open(&hub, "/v1/stream?symbols=A", viewer()).await;
    let ready = stream.ready().await;
    let path = format!("/v1/streams/{}", ready["stream"].as_str().unwrap());
    // The name of the stream is the permission, within what its viewer may read.
    let change = async |body: &str| {
        let (status, body) = send(&hub, (Method::PATCH, &path), None, body).await;
        let body = body.collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let refused = change(r#"{"add":["SECRET1"]}"#).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN);
    let (status, text) = change(r#"{"set":["*"]}"#).await;
    assert_eq!(status, StatusCode::OK);
    let changed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(changed["symbols"], serde_json::json!(["C*", "A"]));
    publish(&hub, "SECRET1", "81");
    publish(&hub, "C3", "4");
    let text = stream.until(r#""symbol":"C3""#).await;
    assert!(!text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn a_reader_with_new_permissions_receives_what_is_new_to_it() {
    let hub = hub(false);
    let mut stream = Stream::open(&hub, "/v1/stream", viewer()).await;
    let cursor = stream.ready().await["cursor"].as_str().unwrap().to_owned();
    let text = stream.until("event: ready").await;
    let id = text.lines().rfind(|line| line.starts_with("id: ")).unwrap();
    let id = id.trim_start_matches("id: ");
    assert!(
        id.starts_with(&cursor) && id != cursor,
        "{id} names the filter"
    );
    let again = async |viewer| {
        let path = format!("/v1/stream?since={id}");
        let mut stream = Stream::open(&hub, &path, viewer).await;
        let resumed = stream.ready().await["resumed"].clone();
        (resumed, stream.1)
    };
    let (resumed, text) = again(viewer()).await;
    assert_eq!(
        (resumed, text.contains("event: tick")),
        (true.into(), false)
    );
    let (resumed, text) = again(Viewer::default()).await;
    assert_eq!((resumed, text.contains(SECRET)), (false.into(), true));
}

#[tokio::test]
async fn a_maximum_rate_holds_for_every_stream() {
    let hub = hub(false);
    let viewer = Viewer::default().max_rate(Rate::per_second(2.0).unwrap());
    for (asked, given) in [("", 2.0), ("&rate=1", 1.0), ("&rate=50", 2.0)] {
        let path = format!("/v1/stream?symbols=A{asked}");
        let mut stream = Stream::open(&hub, &path, viewer.clone()).await;
        let ready = stream.ready().await;
        assert_eq!(ready["rate"], given, "{asked}");
        let path = format!("/v1/streams/{}", ready["stream"].as_str().unwrap());
        let faster = send(&hub, (Method::PATCH, &path), None, r#"{"rate":null}"#).await;
        let body = faster.1.collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["rate"], 2.0);
    }
    let (status, text) = get(&hub, "/v1/stream?mode=all", Some(viewer)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("at most 2 updates a second"), "{text}");
}

#[tokio::test]
async fn a_subject_has_so_many_streams_at_a_time() {
    let hub = hub(false);
    let viewer = |subject: &str| Viewer::default().subject(subject).max_streams(2);
    let open = async |subject: &str, route: &str| Stream::open(&hub, route, viewer(subject)).await;
    let mut first = open("a", "/v1/stream").await;
    let mut second = open("a", "/prices/stream").await;
    first.ready().await;
    second.until("event: tick").await;
    let mut third = open("a", "/v1/stream").await;
    third.until(r#""reason":"busy""#).await;
    open("b", "/v1/stream").await.ready().await;
    drop(first);
    open("a", "/v1/stream").await.ready().await;
}

#[tokio::test]
async fn a_hub_that_requires_a_viewer_lets_no_one_else_in() {
    let hub = hub(true);
    let of_a_symbol = OF_A_SYMBOL.map(|route| format!("{route}A"));
    let streams = ["/v1/stream", "/prices/stream"].map(str::to_owned);
    let routes = OF_THE_MARKET.map(str::to_owned).into_iter();
    for route in routes.chain(of_a_symbol).chain(streams) {
        let (status, text) = get(&hub, &route, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{route}");
        assert!(!text.contains(SECRET_PRICE), "{route}: {text}");
        let (status, body) = send(&hub, (Method::GET, &route), Some(viewer()), "").await;
        assert_eq!(status, StatusCode::OK, "{route}");
        drop(body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_ends_ends_its_streams_and_a_new_one_continues() {
    let hub = hub(false);
    let soon = Time::from_millis(now_ms() + 60_000).unwrap();
    // The clock is paused, and advances to the next timer whenever nothing else can run.
    let begin = Instant::now();
    let mut reading = JoinSet::new();
    for _ in 0..50 {
        let viewer = viewer().expires(soon);
        let mut stream = Stream::open(&hub, "/v1/stream", viewer).await;
        reading.spawn(async move {
            stream.until(r#""reason":"expired""#).await;
            (begin.elapsed(), stream.1)
        });
    }
    let (mut ends, texts): (Vec<_>, Vec<_>) = reading.join_all().await.into_iter().unzip();
    ends.sort();
    let seconds = |at: Duration| at.as_secs_f64();
    assert!(
        seconds(ends[0]) > 59.0 && seconds(ends[49]) < 65.0,
        "{ends:?}"
    );
    let last = texts[0].lines().rfind(|line| line.starts_with("id: "));
    let path = format!("/v1/stream?since={}", &last.unwrap()[4..]);
    let mut again = Stream::open(&hub, &path, viewer()).await;
    assert_eq!(again.ready().await["resumed"], true);

    let past = viewer().expires(Time::from_millis(1).unwrap());
    for route in ["/v1/stream", "/v1/prices", "/v1/status", "/v1/prices/A"] {
        let (status, text) = get(&hub, route, Some(past.clone())).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{route}");
        assert!(text.contains("the login has expired"), "{text}");
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn a_change_never_opens_more_than_the_viewer_may_read() {
    // The filter `*1` within `A,C*` cannot be written with names and patterns.
    for start in ["A", "*1", "*"] {
        for body in [
            r#"{"add":["*"]}"#,
            r#"{"set":["*"]}"#,
            r#"{"set":["*1","*2"]}"#,
            r#"{"add":["*2"],"remove":["*1"]}"#,
        ] {
            let hub = hub(false);
            let path = format!("/v1/stream?symbols={start}");
            let mut stream = Stream::open(&hub, &path, viewer()).await;
            let name = stream.ready().await["stream"].as_str().unwrap().to_owned();
            let path = format!("/v1/streams/{name}");
            let (status, _) = send(&hub, (Method::PATCH, &path), None, body).await;
            assert_eq!(status, StatusCode::OK, "{start} {body}");
            publish(&hub, "SECRET1", "5");
            publish(&hub, "C2", "4");
            // Every one of these streams has `C2` now.
            let text = stream.until(r#""symbol":"C2""#).await;
            assert!(!text.contains(SECRET), "{start} {body}: {text}");
            let (_, status) =
                get(&hub, &format!("/v1/prices?symbols={start}"), Some(viewer())).await;
            assert!(!status.contains(SECRET), "{status}");
        }
    }
}

#[tokio::test]
async fn a_permission_may_be_narrowed_itself() {
    let narrow = Filter::parse(["*1"]).unwrap();
    let role = narrow.narrowed_to(&Filter::parse(["C*"]).unwrap()).unwrap();
    let again = Filter::all().narrowed_to(&role).unwrap();
    for permitted in [role, again] {
        let hub = hub(false);
        let viewer = Viewer::of(permitted);
        for route in OF_THE_MARKET {
            let (_, text) = get(&hub, route, Some(viewer.clone())).await;
            assert!(
                !text.contains(SECRET) && !text.contains(SECRET_PRICE),
                "{route}: {text}"
            );
        }
        let mut stream = Stream::open(&hub, "/v1/stream", viewer).await;
        assert_eq!(stream.ready().await["symbols"], 1);
        assert!(!stream.1.contains(SECRET), "{}", stream.1);
    }
}

#[tokio::test(start_paused = true)]
async fn changes_bring_no_updates_beyond_the_maximum_rate() {
    let hub = hub(false);
    let viewer = Viewer::default().max_rate(Rate::per_second(0.1).unwrap());
    let mut stream = Stream::open(&hub, "/v1/stream?symbols=A", viewer).await;
    let name = stream.ready().await["stream"].as_str().unwrap().to_owned();
    let path = format!("/v1/streams/{name}");
    let mut refused = 0;
    for price in 10..30 {
        publish(&hub, "A", &price.to_string());
        for body in ["{}", r#"{"remove":["A"]}"#, r#"{"add":["A"]}"#] {
            let (status, _) = send(&hub, (Method::PATCH, &path), None, body).await;
            refused += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
        }
    }
    assert!(refused > 50, "{refused}");
    publish(&hub, "A", "99");
    let text = stream.until(r#""price":99"#).await;
    let updates = text.matches("event: tick").count();
    assert!(updates <= 4, "{updates} updates: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_after_the_permission_has_no_price() {
    for route in ["/v1/stream", "/prices/stream"] {
        let hub = hub(false);
        let viewer = viewer().expires(Time::from_millis(now_ms() + 1000).unwrap());
        let mut stream = Stream::open(&hub, route, viewer).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        while let Some(frame) = stream.0.frame().await {
            stream
                .1
                .push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        assert!(!stream.1.contains("price"), "{route}: {}", stream.1);
        assert_eq!(
            stream.1.contains(r#""reason":"expired""#),
            route == "/v1/stream"
        );
    }
}
