use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use tickcast_core::{Filter, Tick};
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::access::{Grant, Viewer};
use crate::hub::Hub;

/// Maximum time of a request that nothing holds up. A test that passes does not wait that long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The handlers of readers must not reach a market but through a view.
#[test]
fn no_handler_of_readers_names_the_hub() {
    let sources = [
        ("candles.rs", include_str!("../candles.rs")),
        ("change.rs", include_str!("../change.rs")),
        ("market.rs", include_str!("../market.rs")),
        ("prices.rs", include_str!("../prices.rs")),
        ("streams.rs", include_str!("../streams.rs")),
        ("ticks.rs", include_str!("../ticks.rs")),
    ];
    for (file, source) in sources {
        assert!(!source.contains("hub::Hub"), "{file}");
    }
}

/// Sends a request on a thread of its own, as somebody who may read and remove only `A`.
fn send(hub: &Hub, method: &str, path: &str, body: &str) -> Receiver<Response> {
    let permitted = Filter::parse(["A"]).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .extension(Viewer::of(permitted.clone()))
        .extension(Grant::of("desk".parse().unwrap(), permitted));
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let publishers = hub.source("http", Default::default()).router();
    let app: Router = hub.router().merge(publishers);
    let (sender, receiver) = channel();
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let response = runtime.block_on(app.oneshot(request)).unwrap();
        // The test may have failed meanwhile.
        let _ = sender.send(response);
    });
    receiver
}

/// Nobody can look at a market that somebody else holds. What is answered nevertheless was decided
/// without a look, so neither the answer nor its time can depend on the market.
#[tokio::test(flavor = "multi_thread")]
async fn the_permission_is_checked_before_the_market_is_looked_at() {
    let hub = Hub::builder().lanes(1).build();
    for symbol in ["A", "SECRET"] {
        let tick = format!(r#"{{"symbol":"{symbol}","price":1}}"#);
        hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
            .unwrap();
    }
    let prepared = send(&hub, "POST", "/v1/streams", "").recv_timeout(TIMEOUT);
    let stream = prepared.unwrap().headers()[header::LOCATION].clone();
    let stream = stream.to_str().unwrap();
    let requests = [
        ("GET", "/v1/prices/SYMBOL", ""),
        ("GET", "/v1/candles/SYMBOL", ""),
        ("GET", "/v1/ticks/SYMBOL", ""),
        ("GET", "/v1/prices?symbols=A,SYMBOL", ""),
        ("GET", "/v1/stream?symbols=A,SYMBOL", ""),
        ("GET", "/prices/stream?symbols=A,SYMBOL", ""),
        ("POST", "/v1/streams", r#"{"symbols":["SYMBOL"]}"#),
        ("PATCH", stream, r#"{"add":["SYMBOL"]}"#),
        ("DELETE", "/v1/prices/SYMBOL", ""),
    ];
    let looks = hub.log().read(|_| {
        let looks = send(&hub, "GET", "/v1/prices/A", "");
        for (method, path, body) in requests {
            for symbol in ["SECRET", "MISSING"] {
                let [path, body] = [path, body].map(|text| text.replace("SYMBOL", symbol));
                let answer = send(&hub, method, &path, &body).recv_timeout(TIMEOUT);
                let status = answer.map(|answer| answer.status());
                assert_eq!(status, Ok(StatusCode::FORBIDDEN), "{method} {path} {body}");
            }
        }
        assert!(
            looks.try_recv().is_err(),
            "a look at the market has to wait"
        );
        looks
    });
    let permitted = looks.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(permitted.status(), StatusCode::OK);
}
