//! Tests the refusals of filters, their messages, and acceptance once there is room again.

use axum::body::Body;
use axum::http::{Request as HttpRequest, Response, StatusCode, header};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::Value;
use tickcast_core::{Symbol, Tick};
use tower::ServiceExt;

use super::prepare::MAX_INLINE_COMPARISONS;
use super::refusal::{MAX_COMPARISONS, MAX_WAITING};
use super::selector::select_all;
use super::*;
use crate::hub::Hub;
use crate::lane::COMPARISONS;

/// Returns a filter of `count` different names or patterns that begin with `prefix`.
fn filter(prefix: &str, count: usize, end: &str) -> Filter {
    let entries: Vec<_> = (0..count).map(|i| format!("{prefix}-{i}{end}")).collect();
    Filter::parse(entries.iter().map(String::as_str)).unwrap()
}

/// Returns an empty selection of `count` patterns, which have not been compared with any symbol.
fn unselected(prefix: &str, count: usize) -> Selection {
    Selection::of_first(filter(prefix, count, "*"), &[])
}

async fn send(hub: &Hub, method: &str, path: &str, body: String) -> Response<Body> {
    let request = HttpRequest::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body))
        .unwrap();
    hub.router().oneshot(request).await.unwrap()
}

/// Opens a stream. Returns the stream and the text that it sends, up to the first of `markers`.
async fn open_until(hub: &Hub, path: &str, markers: &[&str]) -> (Body, String) {
    let response = send(hub, "GET", path, String::new()).await;
    assert_eq!(
        response.status(),
        StatusCode::OK,
        "browsers give up on any other"
    );
    let (mut body, mut text) = (response.into_body(), String::new());
    while !markers.iter().any(|word| text.contains(word)) {
        let frame = body.frame().await.expect("it ends").unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    (body, text)
}

/// Opens a stream. Returns the stream and its name.
async fn open_stream(hub: &Hub, path: &str) -> (Body, String) {
    let (body, text) = open_until(hub, path, &["event: ready", "event: bye"]).await;
    let name = text
        .split_once(r#""stream":""#)
        .and_then(|(_, rest)| rest.split_once('"'));
    let name = name
        .unwrap_or_else(|| panic!("not ready: {text}"))
        .0
        .to_owned();
    (body, name)
}

/// Changes the stream `name` to these symbols. Returns the status, `Retry-After` and the answer.
async fn patch(hub: &Hub, name: &str, symbols: &str) -> (StatusCode, Option<String>, Value) {
    let path = format!("/v1/streams/{name}");
    let response = send(hub, "PATCH", &path, format!(r#"{{"set":["{symbols}"]}}"#)).await;
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().to_owned());
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, retry_after, serde_json::from_slice(&body).unwrap())
}

/// Checks that these symbols are refused: a stream is told to come back, and a change is 503 and
/// names the limit. Nothing is charged for the symbols.
async fn assert_refused(hub: &Hub, name: &str, symbols: &str, limit: &str) {
    let before = hub.stats().filters;
    for (path, markers) in [
        ("/v1/stream", ["event: bye", "event: ready"]),
        ("/prices/stream", [": busy", ": tickcast"]),
    ] {
        let (body, text) = open_until(hub, &format!("{path}?symbols={symbols}"), &markers).await;
        assert!(text.contains(markers[0]), "{path}: {text}");
        let retry = text
            .lines()
            .find_map(|line| line.strip_prefix("retry: "))
            .unwrap();
        assert!(
            (2000..=15_000).contains(&retry.parse::<u32>().unwrap()),
            "{path}: {text}"
        );
        if path == "/v1/stream" {
            assert!(text.contains(r#""reason":"busy""#), "{text}");
        }
        assert!(
            body.collect().await.unwrap().to_bytes().is_empty(),
            "{path} ends"
        );
    }
    let (status, retry_after, problem) = patch(hub, name, symbols).await;
    assert_eq!(
        (status, retry_after.as_deref()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("1")),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(limit) && detail.contains("which is the limit; try again later"),
        "{detail}"
    );
    let after = hub.stats().filters;
    assert_eq!(after.refused, before.refused + 3);
    assert_eq!(
        (after.patterns, after.bytes),
        (before.patterns, before.bytes)
    );
}

/// Checks that these symbols are accepted for changes and for new streams.
async fn assert_accepted(hub: &Hub, name: &str, symbols: &str) {
    let before = hub.stats().filters.refused;
    let (_, retry_after, effective) = patch(hub, name, symbols).await;
    assert_eq!(
        (retry_after, &effective["symbols"][0]),
        (None, &Value::from(symbols)),
        "{effective}"
    );
    drop(open_stream(hub, &format!("/v1/stream?symbols={symbols}")).await);
    let simple = format!("/prices/stream?symbols={symbols}");
    let (_, text) = open_until(hub, &simple, &[": busy", ": tickcast"]).await;
    assert!(text.contains(": tickcast"), "{text}");
    assert_eq!(hub.stats().filters.refused, before);
}

#[tokio::test]
async fn above_the_pattern_limit_readers_are_told_to_come_back_later() {
    let hub = Hub::builder().lanes(1).build();
    let (_open, name) = open_stream(&hub, "/v1/stream?symbols=A").await;
    let mut held = Vec::new();
    for number in 0..100 {
        held.push(
            hub.inner()
                .prepare(filter(&format!("P{number}"), 100, "*"))
                .await
                .unwrap(),
        );
    }
    assert_eq!(hub.stats().filters.patterns, MAX_PATTERNS as u64);
    assert_refused(&hub, &name, "X*", "10000 patterns").await;
    // Names are not patterns. A filter that others already use costs nothing more.
    assert_accepted(&hub, &name, "X").await;
    hub.inner().prepare(filter("P7", 100, "*")).await.unwrap();
    held.pop();
    assert_accepted(&hub, &name, "X*").await;
}

#[tokio::test]
async fn above_the_filter_memory_limit_readers_are_told_to_come_back_later() {
    const BYTES: usize = 8192;
    let hub = Hub::builder().lanes(1).max_filter_bytes(BYTES).build();
    let (_open, name) = open_stream(&hub, "/v1/stream?symbols=A").await;
    let remaining_bytes = BYTES - hub.stats().filters.bytes as usize - FILTER_BYTES;
    // These names leave no room for a filter of one name.
    let held = hub
        .inner()
        .prepare(filter("N", remaining_bytes / NAME_BYTES, ""))
        .await
        .unwrap();
    assert_refused(&hub, &name, "X", "8192 bytes").await;
    // A pattern costs less than a name, but it also has a cost.
    assert_refused(&hub, &name, "X*", "8192 bytes").await;
    drop(held);
    assert_accepted(&hub, &name, "X").await;
}

/// Returns a hub with too many symbols to compare a single pattern with all of them inline.
fn wide_market() -> Hub {
    let hub = Hub::builder().lanes(1).build();
    for number in 0..=MAX_INLINE_COMPARISONS {
        let tick = format!(r#"{{"symbol":"S{number:05}","price":1}}"#);
        hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
            .unwrap();
    }
    hub
}

fn names(hub: &Hub) -> Vec<Symbol> {
    hub.inner().log.read(|log| {
        log.market()
            .ids_from(0)
            .map(|id| log.market().symbol(id))
            .collect()
    })
}

#[tokio::test]
async fn if_too_many_filters_wait_readers_are_told_to_come_back_later() {
    let hub = wide_market();
    let (_open, name) = open_stream(&hub, "/v1/stream?symbols=A").await;
    // No filter is selected yet, and the readers that wait have left meanwhile.
    let requests = hub.inner().filters.selector.hold();
    for number in 0..MAX_WAITING {
        let wanted = filter(&format!("L{number}"), 1, "*");
        let selected = hub
            .inner()
            .select(&wanted, None, MAX_INLINE_COMPARISONS + 1);
        assert!(selected.now_or_never().is_none());
    }
    assert_refused(&hub, &name, "S0000*", "4096 filters wait").await;
    let log = Arc::clone(&hub.inner().log);
    std::thread::spawn(move || select_all(&log, &requests));
    // Once the selector accepts another filter, it has processed the waiting ones.
    while hub.inner().prepare(filter("W", 1, "*")).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_accepted(&hub, &name, "S0000*").await;
}

#[tokio::test]
async fn if_too_many_comparisons_wait_readers_are_told_to_come_back_later() {
    let hub = wide_market();
    let (_open, name) = open_stream(&hub, "/v1/stream?symbols=A").await;
    let requests = hub.inner().filters.selector.hold();
    // A filter is accepted, however slow, as long as the filters before it need less than the
    // maximum.
    let symbols = hub.stats().symbols;
    let count = MAX_COMPARISONS / (100 * symbols) + 1;
    let mut waiting = Vec::new();
    for number in 0..count {
        let partial = unselected(&format!("L{number}"), 100);
        let log = &hub.inner().log;
        let mut slow = Box::pin(hub.inner().filters.selector.select(partial, symbols, log));
        assert!(slow.as_mut().now_or_never().is_none());
        waiting.push(slow);
    }
    assert_refused(&hub, &name, "S0000*", "67108864 comparisons").await;
    let log = Arc::clone(&hub.inner().log);
    std::thread::spawn(move || select_all(&log, &requests));
    for slow in waiting {
        slow.await.unwrap();
    }
    while hub.inner().prepare(filter("W", 1, "*")).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_accepted(&hub, &name, "S0000*").await;
}

/// Large filters keep out other large filters, but not small filters.
#[tokio::test]
async fn large_filters_leave_room_for_small_filters() {
    let hub = wide_market();
    let selector = &hub.inner().filters.selector;
    let requests = selector.hold();
    let mut waiting = Vec::new();
    let refusal = loop {
        let partial = unselected(&format!("L{}", waiting.len()), 100);
        let mut large = Box::pin(selector.select(partial, 100_000, &hub.inner().log));
        match large.as_mut().now_or_never() {
            None => waiting.push(large),
            Some(outcome) => break outcome.unwrap_err(),
        }
    };
    assert_eq!((refusal, waiting.len()), (FilterRefusal::Comparisons, 4));
    let others: Vec<_> = (0..100)
        .map(|number| {
            let partial = unselected(&format!("S{number}"), 1);
            let mut small = Box::pin(selector.select(partial, 100_000, &hub.inner().log));
            assert!(small.as_mut().now_or_never().is_none());
            small
        })
        .collect();
    // Waiting work is given back when its readers leave.
    drop((waiting, others, requests));
    let partial = unselected("L", 100);
    let result = selector.select(partial, 100_000, &hub.inner().log).await;
    assert_eq!(
        result.unwrap_err(),
        FilterRefusal::Waiting,
        "there is room, and nobody to answer"
    );
}

/// The selector thread selects one filter for all readers that ask for the same filter at once. A
/// reader that leaves takes nothing from the other readers.
#[tokio::test]
async fn the_same_filter_is_selected_once_for_all_waiting_readers() {
    let hub = wide_market();
    let requests = hub.inner().filters.selector.hold();
    let prepare = || {
        Box::pin(tokio::task::unconstrained(
            hub.inner().prepare(filter("S0", 1, "*")),
        ))
    };
    let mut waiting: Vec<_> = (0..2 * MAX_WAITING).map(|_| prepare()).collect();
    for prepared in &mut waiting {
        assert!(prepared.as_mut().now_or_never().is_none());
    }
    // The first reader has sent the request for all of them.
    drop(waiting.remove(0));
    for prepared in &mut waiting {
        assert!(prepared.as_mut().now_or_never().is_none());
    }
    assert_eq!(hub.stats().filters.patterns, 1);
    let mut open_requests: Vec<_> = requests
        .try_iter()
        .filter(|request| !request.answer.is_closed())
        .collect();
    assert_eq!(open_requests.len(), 1);
    let request = open_requests.remove(0);
    request
        .answer
        .send(request.partial.extended(&names(&hub)))
        .unwrap();
    let first = waiting.remove(0).await.unwrap();
    for prepared in waiting {
        assert!(Arc::ptr_eq(&first, &prepared.await.unwrap()));
    }
}

/// A selection that is in progress for others may miss the newest symbols. A change waits for a
/// selection that includes them.
#[tokio::test]
async fn a_change_includes_every_symbol_even_if_a_selection_was_in_progress() {
    let hub = wide_market();
    let requests = hub.inner().filters.selector.hold();
    let wanted = filter("S", 1, "*");
    let mut before = Box::pin(hub.inner().prepare(wanted.clone()));
    assert!(before.as_mut().now_or_never().is_none());
    let request = requests.try_recv().unwrap();
    let known = hub.stats().symbols;
    let names = names(&hub);
    hub.try_publish(&Tick::from_json(br#"{"symbol":"S-0-NEW","price":1}"#).unwrap())
        .unwrap();
    let mut change = Box::pin(hub.inner().prepare_wholly(wanted));
    assert!(
        change.as_mut().now_or_never().is_none(),
        "it waits for the one that is under way"
    );
    request
        .answer
        .send(request.partial.extended(&names))
        .unwrap();
    let log = Arc::clone(&hub.inner().log);
    std::thread::spawn(move || select_all(&log, &requests));
    assert_eq!(before.await.unwrap().selection().unwrap().seen(), known);
    assert_eq!(change.await.unwrap().selection().unwrap().seen(), known + 1);
}

/// Symbols that are added while a change waits are compared by the selector, and not by a lane that
/// other streams wait for.
#[tokio::test]
async fn a_selection_for_a_change_continues_if_the_market_grows_by_many_symbols() {
    let hub = wide_market();
    let (_open, name) = open_stream(&hub, "/v1/stream?symbols=A").await;
    let requests = hub.inner().filters.selector.hold();
    let (known, before) = (hub.stats().symbols, names(&hub));
    let wanted: Vec<_> = (0..100).map(|i| format!("*{i:02}-N*")).collect();
    let change = tokio::spawn({
        let (hub, name, wanted) = (hub.clone(), name.clone(), wanted.join("\",\""));
        async move { patch(&hub, &name, &wanted).await }
    });
    let next = async || loop {
        match requests.try_recv() {
            Ok(request) => break request,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let request = next().await;
    for number in 0..COMPARISONS / 100 + 1 {
        let tick = format!(r#"{{"symbol":"X{number:05}-NEW","price":1}}"#);
        hub.try_publish(&Tick::from_json(tick.as_bytes()).unwrap())
            .unwrap();
    }
    request
        .answer
        .send(request.partial.extended(&before))
        .unwrap();
    let request = next().await;
    assert_eq!(request.partial.seen(), known, "it goes on where it was");
    request
        .answer
        .send(request.partial.extended(&names(&hub)))
        .unwrap();
    let (status, _, effective) = change.await.unwrap();
    assert_eq!(status, StatusCode::OK, "{effective}");
}

/// While the log is locked, exactly the maximum number of filters can wait. All of them are
/// answered afterwards.
#[tokio::test]
async fn exactly_the_maximum_number_of_filters_can_wait() {
    let hub = wide_market();
    let symbols = hub.stats().symbols;
    let select = |number: usize| {
        let partial = unselected(&format!("W{number}"), 1);
        Box::pin(
            hub.inner()
                .filters
                .selector
                .select(partial, symbols, &hub.inner().log),
        )
    };
    let mut waiting = Vec::new();
    let refusal = hub.inner().log.read(|_| {
        loop {
            let mut selected = select(waiting.len());
            match selected.as_mut().now_or_never() {
                None => waiting.push(selected),
                Some(outcome) => break outcome.unwrap_err(),
            }
        }
    });
    assert_eq!(refusal, FilterRefusal::Waiting);
    // The filter that is being selected may have left the queue.
    assert!(
        (MAX_WAITING..=MAX_WAITING + 1).contains(&waiting.len()),
        "{}",
        waiting.len()
    );
    for selected in waiting {
        assert_eq!(selected.await.unwrap().seen(), symbols);
    }
}
