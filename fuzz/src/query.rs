//! Paths and queries of readers.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use serde_json::Value;
use tickcast_core::{Filter, PublishedTick, Symbol, Time};

use crate::http::{answer, check_problem, hub, kind, read, routes, run};

/// The decoded parameters of a query.
type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Checks requests for the path and the query in the bytes. The answer is a problem document or
/// what the query asks for: all its symbols and no others, within its range of times.
pub fn query(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    if uri.path_and_query().is_none() || !uri.path().starts_with('/') {
        return;
    }
    let request = Request::get(uri.clone()).body(Body::empty());
    let Ok(request) = request else { return };
    run(async {
        let hub = hub();
        let response = answer(routes(&hub), request).await;
        let (status, kind) = (response.status(), kind(&response));
        // A stream does not end.
        if kind.as_deref() == Some(b"text/event-stream") {
            assert_eq!(status, StatusCode::OK);
            return;
        }
        let body = read(response).await;
        match status {
            StatusCode::OK => check_answer(&uri, &body),
            // The router itself answers unknown paths and methods.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if body.is_empty() => {}
            _ => _ = check_problem(status, kind.as_deref(), &body),
        }
    });
}

fn check_answer(uri: &Uri, body: &[u8]) {
    let query = uri.query().unwrap_or_default();
    let parameters: Parameters<'_> = form_urlencoded::parse(query.as_bytes()).collect();
    if uri.path() == "/v1/prices" {
        check_prices(&parameters, body);
    } else if uri.path().starts_with("/v1/ticks/") {
        check_ticks(&parameters, body);
    } else {
        serde_json::from_slice::<Value>(body).expect("all other answers are JSON");
    }
}

/// Checks that the prices are those of the symbols that the parameters select.
fn check_prices(parameters: &Parameters<'_>, body: &[u8]) {
    assert!(parameters.iter().all(|(name, _)| name == "symbols"));
    let lists: Vec<_> = parameters.iter().map(|(_, list)| list.as_ref()).collect();
    let filter = match lists.as_slice() {
        [] => Filter::all(),
        lists => Filter::parse(lists.iter().flat_map(|list| list.split(',')))
            .expect("the filter was accepted"),
    };
    let prices: Value = serde_json::from_slice(body).expect("prices are JSON");
    let listed = prices["prices"].as_array().into_iter().flatten();
    let listed: Vec<_> = listed.filter_map(|tick| tick["symbol"].as_str()).collect();
    let mut expected = vec!["AAPL", "BTC-USD", "BTC/EUR"];
    expected.retain(|name| Symbol::new(name).is_ok_and(|name| filter.matches(&name)));
    assert_eq!(listed, expected);
}

/// Checks that the ticks are within the range of times, and that the range leaves out only others.
fn check_ticks(parameters: &Parameters<'_>, body: &[u8]) {
    let text = std::str::from_utf8(body).expect("ticks are UTF-8");
    let get = |wanted: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name == wanted);
        found.next().map(|(_, value)| value.as_ref())
    };
    if get("format") == Some("csv") {
        let header = text.lines().next();
        assert_eq!(header, Some("symbol,price,change,change_pct,time,n,extras"));
        return;
    }
    // A `+` that is not percent-encoded is decoded as a space.
    let time = |name| get(name).and_then(|text| text.replace(' ', "+").parse::<Time>().ok());
    let (from, to) = (
        time("from").unwrap_or_default(),
        time("to").unwrap_or(Time::MAX),
    );
    for line in text.lines() {
        let tick = PublishedTick::read(line.to_owned().into()).expect("each line is a tick");
        let exact = get("from").is_none_or(|text| !text.contains(' '));
        assert!(!exact || (from..=to).contains(&tick.time), "{line}");
    }
    if parameters.is_empty() {
        assert!(!text.is_empty(), "the symbol has ticks");
    }
}
