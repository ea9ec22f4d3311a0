//! Publishers with tokens of their own: what each may publish.

use std::io::Write;

use reqwest::{Response, StatusCode};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::program::publish;
use crate::server::{TOKEN, TestServer, tickcast};

/// The hash is that of `desk-token-0123456789`.
const CONFIG: &str = r#"
[[access.publisher]]
name = "desk"
token = "sha256:HASH"
symbols = ["AAPL", "BTC*"]
new_symbols = 2

[[access.publisher]]
name = "slow"
token = "slow-token-0123456789"
rate = 2

[[access.publisher]]
name = "ten"
token = "ten-token-0123456789"
rate = 10

[[access.publisher]]
name = "late"
token = "late-token-0123456789"
rate = 10
"#;

const DESK: &str = "desk-token-0123456789";
const SLOW: &str = "slow-token-0123456789";

/// Runs `tickcast token hash`, with the token on standard input.
fn hash(token: &str) -> String {
    let mut command = tickcast(&["token", "hash"]);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{token}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn config(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn server() -> TestServer {
    let config = config(&CONFIG.replace("sha256:HASH", &hash(DESK)));
    let path = config.path().to_str().unwrap();
    TestServer::with(&["--source", "none", "--config", path])
}

async fn post(server: &TestServer, token: &str, query: &str, body: &str) -> Response {
    let url = format!("{}/v1/prices{query}", server.public);
    let request = server.http.post(url).bearer_auth(token);
    let request = request.header("content-type", "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

async fn report(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

fn ticks(names: &[&str]) -> String {
    let tick = |name: &&str| format!(r#"{{"symbol":"{name}","price":1}}"#);
    format!("[{}]", names.iter().map(tick).collect::<Vec<_>>().join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_publishes_its_symbols_as_its_own_source() {
    let server = server();
    let (status, answer) =
        report(post(&server, DESK, "", &ticks(&["AAPL", "MSFT", "BTC-USD"])).await).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &2.into()));
    assert_eq!(answer["rejected"][0]["symbol"], "MSFT");
    assert_eq!(
        answer["rejected"][0]["error"],
        "you may not publish this symbol"
    );
    let (_, status) = server.get("/v1/status").await;
    assert_eq!(status["sources"][1]["name"], "http:desk", "{status}");

    // What it may not publish is 403, whether or not it exists.
    server.publish(&[("MSFT", "5"), ("aapl", "5")]).await;
    for name in ["MSFT", "NONE"] {
        let (status, answer) = report(post(&server, DESK, "", &ticks(&[name])).await).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        let url = format!("{}/v1/prices/{name}", server.public);
        let removal = server
            .http
            .delete(url)
            .bearer_auth(DESK)
            .send()
            .await
            .unwrap();
        assert_eq!(removal.status(), StatusCode::FORBIDDEN);
    }
    // 403 is for the symbols alone.
    let mixed = r#"[{"symbol":"MSFT","price":1},{"symbol":"AAPL","price":"x"}]"#;
    assert_eq!(post(&server, DESK, "", mixed).await.status(), 422);
    let remove = async |name: &str| {
        let url = format!("{}/v1/prices/{name}", server.public);
        server
            .http
            .delete(url)
            .bearer_auth(DESK)
            .send()
            .await
            .unwrap()
    };
    assert_eq!(remove("AAPL").await.status(), StatusCode::NO_CONTENT);
    // The answer does not suggest a symbol that the publisher may not know.
    let missing: Value = remove("AAPL").await.json().await.unwrap();
    assert_eq!(missing["detail"], "AAPL is not on the market", "{missing}");

    let other = post(&server, DESK, "?source=other", &ticks(&["AAPL"])).await;
    let (status, answer) = report(other).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["detail"], "source: you may publish only as desk");
    assert_eq!(
        post(&server, DESK, "?source=desk", &ticks(&["AAPL"]))
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_and_the_number_of_new_symbols_are_limited() {
    let server = server();
    let all = ticks(&["AAPL", "BTC1", "BTC1", "BTC2", "AAPL"]);
    let (status, answer) = report(post(&server, DESK, "", &all).await).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::OK, &4.into()),
        "{answer}"
    );
    assert_eq!(answer["rejected"][0]["index"], 3);
    assert_eq!(
        answer["rejected"][0]["error"],
        "you may publish at most 2 new symbols"
    );
    let (status, answer) = report(post(&server, DESK, "", &ticks(&["BTC2"])).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    // The symbols of others are not new.
    server.publish(&[("BTC2", "5")]).await;
    assert_eq!(
        post(&server, DESK, "", &ticks(&["BTC2"])).await.status(),
        StatusCode::OK
    );

    // The first tick above the rate ends the request, and what came before stays published.
    let first = post(&server, SLOW, "", &ticks(&["X"; 9])).await;
    assert_eq!(first.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(first.headers()["retry-after"], "1");
    let (_, answer) = report(first).await;
    assert!(
        [2, 3].contains(&answer["accepted"].as_u64().unwrap()),
        "{answer}"
    );
    assert_eq!(answer["detail"], "you may publish at most 2 ticks a second");
    // The counts say where to go on without a key.
    let others = ["late", "unchanged", "rejected_count"].map(|name| answer[name].as_u64());
    assert_eq!(others, [Some(0); 3], "{answer}");
    // With a key, the same request goes on where it broke off, until every tick is published once.
    let url = format!("{}/v1/prices", server.public);
    let mut attempts = 0;
    let done = loop {
        let request = server.http.post(&url).bearer_auth(SLOW);
        let request = request.header("idempotency-key", "nine");
        let answer = request.body(ticks(&["Y"; 9])).send().await.unwrap();
        attempts += 1;
        if answer.status() == StatusCode::OK {
            break answer.json::<Value>().await.unwrap();
        }
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    };
    assert_eq!(
        (&done["accepted"], &done["rejected_count"]),
        (&9.into(), &0.into()),
        "{done}"
    );
    assert!(attempts > 2, "{attempts}");
    assert_eq!(server.get("/v1/prices/Y").await.1["n"], 9);
}

/// `tickcast publish` sends more ticks than the publisher may send in six attempts: ten at once, and
/// ten a second from then on. Late ticks count as well.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_publishes_as_fast_as_the_publisher_may() {
    let server = server();
    server.publish(&[("L", "1")]).await;
    let file = |symbol: &str, time: &str| {
        let line = |price| format!("{symbol},{price},{time}\n");
        let lines: String = (1..=65).map(line).collect();
        format!("symbol,price,time\n{lines}")
    };
    let (accepted, late) = (file("T", ""), file("L", "2026-01-01T00:00:00Z"));
    let (accepted, late) = tokio::join!(
        publish(&server, &accepted, "ten-token-0123456789"),
        publish(&server, &late, "late-token-0123456789"),
    );
    for ((code, stdout, stderr), expected) in [
        (accepted, "65 accepted, 0 late, 0 unchanged, 0 rejected\n"),
        (late, "0 accepted, 65 late, 0 unchanged, 0 rejected\n"),
    ] {
        assert_eq!((code, stdout.as_str()), (Some(0), expected), "{stderr}");
        assert!(stderr.contains("at most 10 ticks a second"), "{stderr}");
    }
    assert_eq!(server.get("/v1/prices/T").await.1["n"], 65);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_have_separate_idempotency_keys_and_no_other_rights() {
    let server = server();
    let send = async |token: &str, name: &str| {
        let url = format!("{}/v1/prices", server.public);
        let request = server
            .http
            .post(url)
            .bearer_auth(token)
            .header("idempotency-key", "one");
        request.body(ticks(&[name])).send().await.unwrap()
    };
    let (_, first) = report(send(DESK, "AAPL").await).await;
    let (status, other) = report(send(SLOW, "X").await).await;
    assert_eq!((status, &other["accepted"]), (StatusCode::OK, &1.into()));
    assert_eq!(report(send(DESK, "AAPL").await).await.1, first);
    let url = format!("{}/v1/prices", server.public);
    let alike = server.http.post(url).bearer_auth(TOKEN);
    let alike = alike.header("idempotency-key", "desk one");
    let alike = alike.body(ticks(&["Z"])).send().await.unwrap();
    assert_eq!(alike.status(), StatusCode::OK);

    // The token for everything still allows everything; a wrong one allows nothing.
    assert_eq!(
        post(&server, TOKEN, "?source=any", &ticks(&["MSFT"]))
            .await
            .status(),
        StatusCode::OK
    );
    for wrong in [
        "",
        "desk",
        "desk-token-012345678",
        "desk-token-01234567890",
        &hash(DESK),
    ] {
        let refused = post(&server, wrong, "", &ticks(&["AAPL"])).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{wrong}");
    }
    let log = server.log();
    assert!(!log.contains(DESK) && !log.contains(SLOW));
}

#[test]
fn settings_of_publishers_fail_early() {
    let table = "[[access.publisher]]\nname = \"desk\"\ntoken = \"0123456789abcdef\"\n";
    for (text, expected) in [
        (
            table.replace("desk", "a desk"),
            "access.publisher 1: name: expected 1 to 32 of",
        ),
        (
            table.replace("abcdef", ""),
            "access.publisher 1: token: expected at least 16 printable",
        ),
        (
            table.replace("0123", "sha256:"),
            "access.publisher 1: token: expected `sha256:` and 64",
        ),
        (
            format!("{table}{table}"),
            "access.publisher 2: the name desk occurs twice",
        ),
        (
            format!("{table}{}", table.replace("desk", "other")),
            "the token is that of another",
        ),
        (
            format!("publish_token = \"0123456789abcdef\"\n{table}"),
            "access.publisher 1: the token is the publish_token",
        ),
        (
            "publish_token = 12345678901\n".to_owned(),
            "publish_token must be a text in quotes",
        ),
        (
            format!("{table}symbols = []\n"),
            "access.publisher 1: symbols: ",
        ),
        (
            format!("{table}symbols = [\"A B\"]\n"),
            "access.publisher 1: symbols: ",
        ),
        (
            format!("{table}rate = 0\n"),
            "access.publisher 1.rate: invalid value",
        ),
        (format!("{table}rates = 1\n"), "unknown field `rates`"),
    ] {
        let file = config(&text);
        let output = tickcast(&["config", "check", "--config", file.path().to_str().unwrap()])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(message.contains(expected), "{message}");
        let secrets = ["0123456789abcdef", "12345678901"];
        assert!(
            !secrets.iter().any(|secret| message.contains(secret)),
            "{message}"
        );
    }
}

#[test]
fn the_example_of_the_guide_is_valid() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, publishers) = guide.split_once("## Publishers").unwrap();
    let (_, example) = publishers.split_once("```toml\n").unwrap();
    let file = config(example.split_once("```").unwrap().0);
    let path = file.path().to_str().unwrap();
    let shown = tickcast(&["config", "show", "--config", path])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("open, 1 publisher "), "{shown}");
}

#[test]
fn a_server_with_publishers_generates_no_token() {
    let file = config("[[access.publisher]]\nname = \"desk\"\ntoken = \"0123456789abcdef\"\n");
    let mut command = tickcast(&["serve", "--source", "none", "--listen", "0", "--admin", "0"]);
    command.args([
        "--log-format",
        "json",
        "--config",
        file.path().to_str().unwrap(),
    ]);
    let server = TestServer::launch(command);
    server.wait_for_log("listening");
    assert!(!server.log().contains("publish_token"));
}
