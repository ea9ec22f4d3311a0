//! `POST /v1/prices`: every kind of input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{Reader, raw_field};
use crate::server::{TOKEN, TestServer};

const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn prices_are_sent_as_they_were_published() {
    let server = TestServer::start();
    let mut reader = Reader::open(&server, "").await;
    for (written, sent) in [
        ("0.10", "0.10"),
        ("-37.63", "-37.63"),
        ("0", "0"),
        ("1e-7", "0.0000001"),
        (
            "\"123456789012345678.123456789\"",
            "123456789012345678.123456789",
        ),
        ("1782907200123", "1782907200123"),
    ] {
        server.publish(&[("A", written)]).await;
        assert_eq!(reader.tick().await.price, sent);
        let one = server
            .http
            .get(format!("{}/v1/prices/A", server.public))
            .send()
            .await
            .unwrap();
        assert_eq!(raw_field(&one.text().await.unwrap(), "price"), sent);
    }
}

#[tokio::test]
async fn invalid_prices_are_rejected_by_name_and_the_rest_is_accepted() {
    let server = TestServer::start();
    for (price, error) in [
        ("NaN", "not JSON: expected value at column 23, at `NaN`"),
        ("1e400", "price has more than 28 digits once written out"),
        (
            "null",
            "price: expected a number or a decimal as text, found null",
        ),
        (
            &"7".repeat(29),
            "price has more than 28 digits once written out",
        ),
        ("\"\"", "price is empty"),
        ("+1", "not JSON: expected value at column 23, at `+1`"),
        ("\"+1\"", "price `+1` is not a decimal number"),
        (
            "0x1",
            "not JSON: expected `,` or `}` at column 23, at `0x1`",
        ),
        ("\"NaN\"", "price `NaN` is not a finite number"),
        ("\"-Infinity\"", "price `-Infinity` is not a finite number"),
    ] {
        let bad = format!(r#"{{"symbol":"A","price":{price}}}"#);
        let array = format!(r#"[{{"symbol":"OK","price":1}},{bad},{{"symbol":"OK","price":2}}]"#);
        let lines = format!(
            "{{\"symbol\":\"OK\",\"price\":1}}\n{bad}\n{{\"symbol\":\"OK\",\"price\":2}}\n"
        );
        for (kind, body) in [("application/json", array), (NDJSON, lines)] {
            let (status, answer) = server.post_as(kind, body).await;
            assert_eq!(
                (status, &answer["accepted"], &answer["rejected_count"]),
                (200, &json!(2), &json!(1)),
                "{answer}"
            );
            assert_eq!(
                (
                    &answer["rejected"][0]["index"],
                    &answer["rejected"][0]["error"]
                ),
                (&json!(1), &json!(error))
            );
        }
    }
}

#[tokio::test]
async fn every_tick_rule_has_its_own_error_message() {
    let server = TestServer::start();
    let extras: String = (0..17).map(|i| format!(",\"x{i}\":0")).collect();
    let tomorrow = 86_400_000 * 30_000_u64;
    for (tick, error) in [
        (r#"{"price":1}"#.to_owned(), "symbol is missing"),
        (r#"{"symbol":"A"}"#.to_owned(), "price is missing"),
        (r#"{"symbol":"","price":1}"#.to_owned(), "symbol is empty"),
        (
            format!(r#"{{"symbol":"{}","price":1}}"#, "x".repeat(33)),
            "symbol has 33 bytes, the limit is 32",
        ),
        (
            r#"{"symbol":"A\nid: x","price":1}"#.to_owned(),
            "symbol holds '\\n'; allowed are A-Z a-z 0-9 . _ - / : ^ = &",
        ),
        (
            r#"{"symbol":"A","price":1,"change":"x"}"#.to_owned(),
            "change `x` is not a decimal number",
        ),
        (
            r#"{"symbol":"A","price":1,"prev_close":true}"#.to_owned(),
            "prev_close: expected a number or a decimal as text, found true or false",
        ),
        (
            r#"{"symbol":"A","price":1,"time":"now"}"#.to_owned(),
            "time `now` is neither a whole number of milliseconds since 1970 nor RFC 3339 with an offset, \
             as in 2024-01-02T14:30:00Z",
        ),
        (
            r#"{"symbol":"A","price":1,"time":true}"#.to_owned(),
            "time: expected a whole number of milliseconds or RFC 3339, found true or false",
        ),
        (
            r#"{"symbol":"A","price":1,"time":1704067200}"#.to_owned(),
            "time 1704067200 looks like seconds; milliseconds since 1970 are expected",
        ),
        (
            r#"{"symbol":"A","price":1,"time":1735689600000000}"#.to_owned(),
            "time 1735689600000000 looks like micro- or nanoseconds; milliseconds since 1970 are expected",
        ),
        (
            format!(r#"{{"symbol":"A","price":1,"time":{tomorrow}}}"#),
            "time 2592000000000 is more than 60s ahead of the server's clock",
        ),
        (
            r#"{"symbol":"A","price":1,"n":5}"#.to_owned(),
            "`n` is reserved",
        ),
        (
            r#"{"symbol":"A","price":1,"bid-size":5}"#.to_owned(),
            "`bid-size` is not a valid name for an extra (expected [A-Za-z][A-Za-z0-9_]{0,31})",
        ),
        (
            r#"{"symbol":"A","price":1,"x":{}}"#.to_owned(),
            "x: expected text, a number, true, false or null, found an object or an array",
        ),
        (
            format!(r#"{{"symbol":"A","price":1{extras}}}"#),
            "the tick has more than 16 extras",
        ),
        (
            format!(r#"{{"symbol":"A","price":1,"x":"{}"}}"#, "y".repeat(1024)),
            "the extras have more than 1024 bytes in total",
        ),
        (
            format!(r#"{{"symbol":"A","price":1,"x":"{}"}}"#, "y".repeat(20_000)),
            "the tick has more than 16384 bytes",
        ),
        (
            r#"{"symbol":"A","price":1,"price":1}"#.to_owned(),
            "`price` occurs twice",
        ),
    ] {
        let (status, answer) = server.post(&format!("[{tick}]")).await;
        assert_eq!(
            (status, answer["rejected"][0]["error"].as_str()),
            (422, Some(error)),
            "{answer}"
        );
    }
}

/// Checks the status of such requests, because `curl -f` and `res.ok` check only the status.
#[tokio::test]
async fn a_request_without_an_accepted_tick_fails() {
    let server = TestServer::start();
    let (status, problem) = server.post(r#"{"symbol":"A"}"#).await;
    assert_eq!(
        (status, &problem["status"]),
        (422, &json!(422)),
        "{problem}"
    );
    assert_eq!(problem["detail"], "no tick was accepted: price is missing");
    let counts =
        ["accepted", "late", "unchanged", "rejected_count"].map(|name| problem[name].as_u64());
    assert_eq!(counts, [Some(0), Some(0), Some(0), Some(1)], "{problem}");
    assert_eq!(
        problem["rejected"],
        json!([{"index":0,"symbol":"A","error":"price is missing"}])
    );
    assert!(problem["cursor"].is_string(), "{problem}");
    let some = r#"[{"symbol":"A","price":2,"time":1700000000002},{"symbol":"A"}]"#;
    assert_eq!(server.post(some).await.0, 200);
    // A request with a late or unchanged tick does not fail: the tick was processed.
    let late = r#"[{"symbol":"A","price":2,"time":1700000000001},{"symbol":"A"}]"#;
    assert_eq!(
        (server.post(late).await.0, server.post("[]").await.0),
        (200, 200)
    );
}

#[tokio::test]
async fn extras_keep_their_case_and_times_have_several_formats() {
    let server = TestServer::start();
    let mut reader = Reader::open(&server, "").await;
    for (time, sent) in [
        ("1704205800000", 1_704_205_800_000_i64),
        ("\"1704205800001\"", 1_704_205_800_001),
        ("\"2024-01-02T14:30:00.002Z\"", 1_704_205_800_002),
        ("\"2024-01-02 09:30:00.003-05:00\"", 1_704_205_800_003),
    ] {
        let tick = format!(r#"{{"symbol":"A","price":1,"time":{time},"bidSize":2}}"#);
        assert_eq!(server.post(&tick).await.0, 200, "{tick}");
        let tick = reader.tick().await.json;
        assert_eq!((&tick["time"], &tick["bidSize"]), (&json!(sent), &json!(2)));
    }
}

#[tokio::test]
async fn bodies_may_be_compressed_and_start_with_a_byte_order_mark() {
    let server = TestServer::start();
    let post = async |coding: &str, body: Vec<u8>| {
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        let request = request
            .header("content-type", NDJSON)
            .header("content-encoding", coding);
        request.body(body).send().await.unwrap()
    };
    let lines = "\u{feff}{\"symbol\":\"A\",\"price\":1}\n{\"symbol\":\"A\",\"price\":2}\n";
    let more = "{\"symbol\":\"A\",\"price\":3}\n";
    let frames = [lines, more]
        .map(|text| zstd::encode_all(text.as_bytes(), 1).unwrap())
        .concat();
    let parts = [gzip(lines), gzip(more)].concat();
    for (coding, body, accepted) in [
        ("identity", lines.as_bytes().to_vec(), 2),
        ("gzip", gzip(lines), 2),
        ("GZIP", parts, 3),
        ("zstd", frames, 3),
    ] {
        let answer = post(coding, body).await;
        assert_eq!(answer.status(), 200, "{coding}");
        let report: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(
            (&report["accepted"], &report["rejected_count"]),
            (&json!(accepted), &json!(0)),
            "{report}"
        );
    }
    // The first body is truncated. The second one asks for a decoder window of 128 MiB.
    let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    std::io::Write::write_all(&mut wide, lines.as_bytes()).unwrap();
    for (coding, body) in [
        ("gzip", gzip(lines)[..20].to_vec()),
        ("zstd", wide.finish().unwrap()),
    ] {
        let answer = post(coding, body).await;
        assert_eq!(answer.status(), 400);
        let problem: serde_json::Value = answer.json().await.unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("the body ended too early or is not {coding}: ")),
            "{detail}"
        );
    }
    for coding in ["br", "gzip, gzip", "deflate"] {
        let refused = post(coding, lines.as_bytes().to_vec()).await;
        assert_eq!(refused.status(), 415);
        assert_eq!(refused.headers()["accept-encoding"], "gzip, zstd");
        let problem: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(
            problem["detail"],
            "Content-Encoding: expected gzip, zstd or none"
        );
    }
}

/// Checks that a small body that expands to 200 MiB uses no more memory than any other body.
#[tokio::test]
async fn a_compressed_body_expands_in_constant_memory() {
    const MIB: u64 = 1 << 20;
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let before = server.resident();
    for coding in ["gzip", "zstd"] {
        let endless = std::io::Read::take(std::io::repeat(b'y'), 200 * MIB);
        let bomb = match coding {
            "gzip" => {
                let mut encoder =
                    flate2::read::GzEncoder::new(endless, flate2::Compression::fast());
                let mut bomb = Vec::new();
                std::io::Read::read_to_end(&mut encoder, &mut bomb).unwrap();
                bomb
            }
            _ => zstd::encode_all(endless, 1).unwrap(),
        };
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        let request = request
            .header("content-type", NDJSON)
            .header("content-encoding", coding)
            .body(bomb);
        let problem: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            problem["rejected"][0]["error"], "the tick has more than 16384 bytes",
            "{problem}"
        );
    }
    let growth = server.resident().saturating_sub(before);
    assert!(growth < 32 * MIB, "memory grew by {} MiB", growth / MIB);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn changes_are_exact_decimals() {
    let server = TestServer::start();
    let mut reader = Reader::open(&server, "").await;
    let day = 86_400_000 * 20_000_u64;
    for (tick, change, percent) in [
        (
            format!(r#"{{"symbol":"A","price":0.1,"time":{day}}}"#),
            "0.0",
            Some("0"),
        ),
        (
            format!(r#"{{"symbol":"A","price":0.3,"time":{}}}"#, day + 1),
            "0.2",
            Some("200"),
        ),
        (
            format!(
                r#"{{"symbol":"A","price":0.5,"prev_close":0.4,"time":{}}}"#,
                day + 2
            ),
            "0.1",
            Some("25"),
        ),
        (
            format!(
                r#"{{"symbol":"A","price":0.5,"change":0.125,"time":{}}}"#,
                day + 3
            ),
            "0.125",
            Some("33.3333"),
        ),
        (
            format!(
                r#"{{"symbol":"A","price":0.3,"time":{}}}"#,
                day + 2 * 86_400_000
            ),
            "-0.1",
            Some("-25"),
        ),
        (
            format!(r#"{{"symbol":"B","price":0,"time":{day}}}"#),
            "0",
            None,
        ),
        (
            format!(r#"{{"symbol":"B","price":7,"time":{}}}"#, day + 86_400_000),
            "0",
            Some("0"),
        ),
    ] {
        server.post(&tick).await;
        let event = reader.event().await.unwrap();
        let seen: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(raw_field(&event.data, "change"), change, "{tick}");
        assert_eq!(
            seen.get("change_pct")
                .map(|_| raw_field(&event.data, "change_pct"))
                .as_deref(),
            percent,
            "{tick}"
        );
    }
}

#[tokio::test]
async fn a_late_tick_never_overwrites_a_newer_price_of_its_symbol() {
    let server = TestServer::start();
    let (_, answer) = server
        .post(r#"[{"symbol":"A","price":2,"time":1700000002000},{"symbol":"A","price":1,"time":1700000001999},{"symbol":"A","price":3,"time":1700000002000}]"#)
        .await;
    assert_eq!(
        (&answer["accepted"], &answer["late"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(server.get("/v1/prices/A").await.1["price"], 3);
}

#[tokio::test]
async fn publishing_requires_the_token() {
    let server = TestServer::start();
    let url = format!("{}/v1/prices", server.public);
    let post = async |authorization: Option<&str>| {
        let request = server.http.post(&url).body(r#"{"symbol":"A","price":1}"#);
        let request = authorization.into_iter().fold(request, |request, value| {
            request.header("authorization", value)
        });
        request.send().await.unwrap()
    };
    for wrong in [
        None,
        Some("Bearer wrong"),
        Some("Bearer "),
        Some(TOKEN),
        Some("Basic test-token"),
        Some("Bearer test-token2"),
    ] {
        let response = post(wrong).await;
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["www-authenticate"]
            ),
            (401, &"Bearer".parse().unwrap())
        );
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
    // A client that is still sending also receives the response.
    let long = "x".repeat(900_000);
    let response = server
        .http
        .post(&url)
        .bearer_auth("wrong")
        .body(long)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(post(Some("Bearer test-token")).await.status(), 200);
    assert_eq!(
        server
            .http
            .delete(format!("{url}/A"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert!(!server.log().contains(TOKEN), "the log contains the token");
}

#[tokio::test]
async fn a_repeated_request_with_the_same_key_is_published_once() {
    let server = TestServer::start();
    let post = async |key: &str, body: &'static str| {
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        let response = request
            .header("idempotency-key", key)
            .body(body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let batch = r#"[{"symbol":"A","price":1},{"symbol":"A","price":"x"}]"#;
    let first = post("k1", batch).await;
    assert_eq!(post("k1", batch).await, first);
    // Another body with the same key is refused. Otherwise its publisher would believe that the
    // ticks were accepted.
    let (status, problem) = post("k1", r#"[{"symbol":"A","price":5}]"#).await;
    assert!(
        status == 422 && problem.contains("with another body"),
        "{status} {problem}"
    );
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 1);
    post("k2", batch).await;
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 2);
    assert_eq!(post(&"k".repeat(256), batch).await.0, 400);
}

/// Checks that a retry of an interrupted request continues where the first request stopped.
#[tokio::test]
async fn a_retry_completes_an_interrupted_request() {
    let server = TestServer::start();
    let lines = |range: std::ops::Range<u32>| -> String {
        range
            .map(|n| format!("{{\"symbol\":\"A\",\"price\":{n}}}\n"))
            .collect()
    };
    let post = |body: reqwest::Body| {
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        request
            .header("content-type", NDJSON)
            .header("idempotency-key", "k")
            .body(body)
            .send()
    };
    let (sent_part, first_half) = (lines(0..500), lines(0..1000));
    let address = server.public.trim_start_matches("http://");
    let mut line = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/prices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: {NDJSON}\r\n\
         idempotency-key: k\r\ncontent-length: {}\r\n\r\n",
        first_half.len()
    );
    line.write_all(format!("{head}{sent_part}").as_bytes())
        .await
        .unwrap();
    crate::server::eventually(async || server.get("/v1/prices/A").await.1["n"] == 500).await;
    // The connection breaks.
    drop(line);
    // The server does not accept another body as the rest of this one, whether that body is longer
    // or shorter.
    for other in [
        lines(5000..5600),
        lines(7..10),
        "{\"symbol\":\"A\",\"price\":7}\n".repeat(2000),
    ] {
        crate::server::eventually(async || {
            post(other.clone().into()).await.unwrap().status() == 422
        })
        .await;
    }
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 500);
    crate::server::eventually(async || {
        post(first_half.clone().into()).await.unwrap().status() == 200
    })
    .await;
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 1000);
}

#[tokio::test]
async fn an_unreadable_body_is_a_bad_request() {
    let server = TestServer::start();
    for body in ["hello", "{\"symbol\":", "[{]"] {
        let (status, problem) = server.post(body).await;
        assert_eq!(status, 400, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .starts_with("no tick could be read: not JSON: "),
            "{problem}"
        );
    }
    assert_eq!(server.post_as("text/html", "x").await.0, 415);
    assert_eq!(
        server.post_as(NDJSON, "").await,
        (200, server.post("[]").await.1)
    );
}

/// Checks that a body of any length is read in constant memory, and that a line of any length is
/// skipped.
#[tokio::test]
async fn a_long_body_is_read_in_constant_memory() {
    const MIB: u64 = 1 << 20;
    let server = TestServer::with(&["--source", "none", "--tape-ticks", "1000"]);
    server.publish(&[("A", "1")]).await;
    let before = server.resident();
    let sent = Arc::new(AtomicU64::new(0));
    let line = format!(
        "{{\"symbol\":\"A\",\"price\":1,\"note\":\"{}\"}}\n",
        "x".repeat(900)
    );
    let valid: bytes::Bytes = line.repeat(64).into();
    let endless: bytes::Bytes = "y".repeat(64 << 10).into();
    let counter = Arc::clone(&sent);
    let body = futures_util::stream::iter((0..2048).map(move |i| {
        let piece = if (512..1536).contains(&i) {
            &endless
        } else {
            &valid
        };
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        // One line of 64 MiB among the valid ones.
        let end = if i == 1535 { "\n" } else { "" };
        Ok::<_, std::io::Error>([&piece[..], end.as_bytes()].concat())
    }));
    let (status, answer) = server
        .post_as(NDJSON, reqwest::Body::wrap_stream(body))
        .await;
    assert!(sent.load(Ordering::Relaxed) > 120 * MIB);
    assert_eq!(
        (status, &answer["accepted"], &answer["rejected_count"]),
        (200, &json!(65_536), &json!(1))
    );
    assert_eq!(
        answer["rejected"][0],
        json!({"index": 32_768, "error": "the tick has more than 16384 bytes"})
    );
    let growth = server.resident().saturating_sub(before);
    assert!(growth < 32 * MIB, "memory grew by {} MiB", growth / MIB);
}

#[tokio::test]
async fn new_symbols_are_rejected_above_the_symbol_limit() {
    let server = TestServer::with(&["--source", "none", "--max-symbols", "2"]);
    let (_, answer) = server
        .post(r#"[{"symbol":"A","price":1},{"symbol":"B","price":1},{"symbol":"C","price":1},{"symbol":"A","price":2}]"#)
        .await;
    assert_eq!(answer["accepted"], 3);
    assert_eq!(
        answer["rejected"],
        json!([{"index":2,"symbol":"C","error":"the market has 2 symbols, which is the limit"}])
    );
}

#[tokio::test]
async fn an_idempotency_key_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let send = async |server: &TestServer| {
        let body = "[{\"symbol\":\"A\",\"price\":1},{\"symbol\":\"B B\",\"price\":2},{\"symbol\":\"A\",\"price\":3}]";
        let request = server
            .http
            .post(format!("{}/v1/prices", server.public))
            .bearer_auth(TOKEN);
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", "k1");
        request
            .body(body)
            .send()
            .await
            .unwrap()
            .json::<serde_json::Value>()
            .await
            .unwrap()
    };
    let server = TestServer::on_disk(folder.path(), &[]);
    let first = send(&server).await;
    assert_eq!(
        (&first["accepted"], &first["rejected_count"]),
        (&2.into(), &1.into()),
        "{first}"
    );
    // First an orderly stop, then a kill.
    server.end();
    let server = TestServer::on_disk(folder.path(), &[]);
    assert_eq!(send(&server).await, first);
    server.kill();
    let server = TestServer::on_disk(folder.path(), &[]);
    assert_eq!(send(&server).await, first);
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 2);
}

#[tokio::test]
async fn a_batch_that_publishes_nothing_takes_no_place_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    server.post(r#"{"symbol":"A","price":1}"#).await;
    let before = server.metric("tickcast_disk_bytes").await;
    let send = async |key: &str, body: &'static str| {
        let request = server.http.post(format!("{}/v1/prices", server.public));
        let request = request
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let answer: serde_json::Value = answer.json().await.unwrap();
        (status, answer)
    };
    let rejected = r#"[{"symbol":"B B","price":2}]"#;
    let first = send("k1", rejected).await;
    assert_eq!((first.0, &first.1["rejected_count"]), (422, &json!(1)));
    assert_eq!(send("k2", rejected).await.0, 422);
    assert_eq!(send("k1", rejected).await, first);
    let other = send("k1", r#"[{"symbol":"A","price":2}]"#).await;
    assert_eq!(other.1["parameter"], "Idempotency-Key", "{other:?}");
    assert_eq!(server.metric("tickcast_disk_bytes").await, before);
    server.post(r#"{"symbol":"A","price":2}"#).await;
    assert!(server.metric("tickcast_disk_bytes").await > before);
}
