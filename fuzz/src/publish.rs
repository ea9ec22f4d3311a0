//! Bodies of publish requests.

use std::io::Write;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::http::{answer, check_problem, empty_hub, kind, read, routes, run};

const TYPES: [&str; 4] = [
    "application/json",
    "application/x-ndjson",
    "application/json; charset=utf-8",
    "text/csv",
];

/// How the body of a request is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sent {
    Plain,
    Pieces,
    Gzip,
    Zstd,
    /// The bytes themselves, with the name of a coding that they may not have.
    As(&'static str),
}

/// Checks bodies of publish requests. The lowest two bits of the first byte select the type of the
/// body, and the next two whether the bytes are said to be compressed. Each item is counted once.
/// The report does not depend on how the same body arrives.
pub fn publish(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let kind = TYPES[usize::from(first & 3)];
    match (first >> 2) & 3 {
        1 => _ = report(kind, Sent::As("gzip"), body),
        2 => _ = report(kind, Sent::As("zstd"), body),
        _ => check_plain(kind, body),
    }
}

fn check_plain(kind: &str, body: &[u8]) {
    let plain = report(kind, Sent::Plain, body);
    for sent in [Sent::Pieces, Sent::Gzip, Sent::Zstd] {
        assert_eq!(report(kind, sent, body), plain, "{sent:?}");
    }
    let Some(counts) = counts(&plain.1) else {
        return;
    };
    if kind == TYPES[1] {
        let lines = body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(body)
            .split(|byte| *byte == b'\n');
        let items = lines.filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        assert_eq!(counts.iter().sum::<u64>(), items, "{}", plain.1);
    } else if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let items = json.as_array().map_or(1, Vec::len) as u64;
        assert_eq!(counts.iter().sum::<u64>(), items, "{}", plain.1);
    }
}

/// Publishes a body on an empty market. Returns the status and the report, without its cursor.
fn report(content_type: &str, sent: Sent, body: &[u8]) -> (StatusCode, Value) {
    let (coding, body) = match sent {
        Sent::Plain => ("identity", Body::from(body.to_vec())),
        Sent::Pieces => ("identity", pieces(body)),
        Sent::Gzip => ("gzip", Body::from(gzip(body))),
        Sent::Zstd => ("zstd", Body::from(zstd(body))),
        Sent::As(coding) => (coding, pieces(body)),
    };
    let request = Request::post("/v1/prices")
        .header("content-type", content_type)
        .header("content-encoding", coding)
        .body(body)
        .expect("the request is valid");
    run(async {
        let hub = empty_hub();
        let response = answer(routes(&hub), request).await;
        let (status, kind) = (response.status(), kind(&response));
        let bytes = read(response).await;
        let mut report = match status {
            StatusCode::OK => serde_json::from_slice(&bytes).expect("a report is JSON"),
            _ => check_problem(status, kind.as_deref(), &bytes),
        };
        check_market(&hub, &report).await;
        if let Some(members) = report.as_object_mut() {
            // The digest in the cursor depends on the time of arrival.
            members.remove("cursor");
        }
        (status, report)
    })
}

/// Checks that the market has the accepted ticks, and nothing else.
async fn check_market(hub: &tickcast::Hub, report: &Value) {
    let accepted = report["accepted"].as_u64().unwrap_or(0);
    assert_eq!(hub.cursor().seq().get(), accepted, "{report}");
    let request = Request::get("/v1/prices").body(Body::empty());
    let prices = answer(routes(hub), request.expect("the request is valid")).await;
    let prices: Value = serde_json::from_slice(&read(prices).await).expect("prices are JSON");
    let symbols = prices["prices"].as_array().map_or(0, Vec::len) as u64;
    assert!(
        symbols <= accepted && (symbols > 0) == (accepted > 0),
        "{report}"
    );
    if let Some(listed) = report["rejected"].as_array() {
        let count = report["rejected_count"].as_u64().unwrap_or(0);
        assert_eq!(listed.len() as u64, count.min(100), "{report}");
    }
}

/// Returns how many items were accepted, late, unchanged and rejected, if the report says so.
fn counts(report: &Value) -> Option<Vec<u64>> {
    let names = ["accepted", "late", "unchanged", "rejected_count"];
    names.iter().map(|name| report[name].as_u64()).collect()
}

/// Returns a body that arrives in pieces.
fn pieces(bytes: &[u8]) -> Body {
    let length = bytes.len() / 7 + 1;
    let pieces: Vec<_> = bytes.chunks(length).map(<[u8]>::to_vec).collect();
    Body::from_stream(futures_util::stream::iter(
        pieces.into_iter().map(Ok::<_, std::convert::Infallible>),
    ))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes everything")
}
