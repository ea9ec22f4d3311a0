//! Ticks from files, among them 12,477 real trades.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Reader, raw_field};
use crate::server::{TestServer, eventually, serving, tickcast};

/// Returns the path of the real trades if they lie beside the project.
fn trades(test: &str) -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/xrpeth-trades.ndjson.gz");
    if !path.exists() {
        fakes::skipped(
            test,
            "xrpeth-trades.ndjson.gz, of freqtrade's test data, is not in ../shared/data beside the checkout",
        );
        return None;
    }
    Some(path)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn replay_accepts_every_real_trade() {
    let Some(path) = trades("replay::replay_accepts_every_real_trade") else {
        return;
    };
    let source = format!("replay:{}?speed=max", path.display());
    let server = TestServer::with(&["--source", &source]);
    server.wait_for_log("source ended: 12477 of 12477 ticks were accepted");
    let (_, status) = server.get("/v1/status").await;
    let replay = &status["sources"][1];
    assert_eq!(
        (&replay["accepted"], &replay["late"], &replay["rejected"]),
        (&json!(12_477), &json!(0), &json!(0))
    );
    assert_eq!(
        (&replay["state"], &replay["name"]),
        (&json!("ended"), &json!("replay:xrpeth-trades.ndjson.gz"))
    );
    let last = server
        .http
        .get(format!("{}/v1/prices/XRP%2FETH", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(
        raw_field(&last.text().await.unwrap(), "price"),
        "0.00152787"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_readers_each_receive_every_real_trade() {
    let Some(path) = trades("replay::a_hundred_readers_each_receive_every_real_trade") else {
        return;
    };
    let source = format!("replay:{}?rate=2000", path.display());
    let server = TestServer::with(&["--source", &source, "--max-lag", "60s"]);
    join_all((0..100).map(async |_| {
        let mut reader = Reader::open(&server, "").await;
        let mut n = reader.tick().await.n;
        while n < 12_477 {
            let next = reader.tick().await.n;
            assert_eq!(next, n + 1, "the reader missed a tick");
            n = next;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_missing_replay_file_stops_the_start() {
    let output = tickcast(&["serve", "--source", "replay:/no/such/file"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let says = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        says,
        "tickcast: source \"replay:/no/such/file\": /no/such/file: No such file or directory (os error 2)\n"
    );
}

#[tokio::test]
async fn replay_names_bad_lines_and_keeps_ticks_before_a_truncation() {
    let lines = file("{\"symbol\":\"A\",\"price\":1}\nnonsense\n{\"symbol\":\"A\",\"price\":2}\n");
    let server = TestServer::with(&[
        "--source",
        &format!("replay:{}?speed=max", lines.path().display()),
    ]);
    server.wait_for_log("line 2: not JSON");
    server.wait_for_log("source ended: 2 of 2 ticks were accepted");
    assert_eq!(server.get("/v1/prices/A").await.1["price"], 2);

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let text: String = (1..=20_000)
        .map(|n| format!("{{\"symbol\":\"A\",\"price\":{}}}\n", n * 7919 % 10_007))
        .collect();
    encoder.write_all(text.as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &bytes[..bytes.len() / 2]).unwrap();
    let server = TestServer::with(&[
        "--source",
        &format!("replay:{}?speed=max", cut.path().display()),
    ]);
    let failed = server.wait_for_log("source failed");
    let published = server.get("/v1/prices/A").await.1["n"].as_u64().unwrap();
    assert!(published > 1000, "{published}");
    let name = cut.path().file_name().unwrap().to_string_lossy();
    assert!(
        failed.contains(&format!("{name}: line {}: ", published + 1)),
        "{failed} after {published}"
    );
    assert!(
        server.get("/v1/status").await.1["sources"][1]["reason"]
            .as_str()
            .unwrap()
            .contains("line")
    );
}

#[tokio::test]
async fn a_looped_replay_continues_its_times() {
    let trades = file("symbol,price,time,size\nA,1.50,1700000001000,7\nA,2.50,1700000001500,8\n");
    let source = format!("replay:{}?speed=20&loop&prefix=X:", trades.path().display());
    let server = TestServer::with(&["--source", &source]);
    let mut reader = Reader::open(&server, "").await;
    let mut last = reader.tick().await;
    assert_eq!(last.symbol, "X:A");
    for _ in 0..6 {
        let next = reader.tick().await;
        let (before, after) = (
            last.json["time"].as_i64().unwrap(),
            next.json["time"].as_i64().unwrap(),
        );
        assert_eq!(after - before, if next.price == "2.50" { 500 } else { 1 });
        assert_eq!(
            (next.n, &next.json["size"]),
            (last.n + 1, &json!(if next.price == "2.50" { 8 } else { 7 }))
        );
        last = next;
    }
}

#[tokio::test]
async fn a_pipe_is_published_line_by_line() {
    let mut command = serving("127.0.0.1:0");
    command.args(["--source", "stdin"]).stdin(Stdio::piped());
    let mut server = TestServer::launch(command);
    let mut pipe = server.stdin();
    let mut reader = Reader::open(&server, "").await;
    for n in 1..=3 {
        writeln!(pipe, "{{\"symbol\":\"A\",\"price\":{n}}}").unwrap();
        assert_eq!(reader.tick().await.n, n);
    }
    drop(pipe);
    server.wait_for_log("source ended: 3 of 3 ticks were accepted");
    eventually(async || server.get("/v1/status").await.1["sources"][1]["state"] == "ended").await;
}

/// Checks that a byte that is not UTF-8, an open quote and an extra cell each reject only their
/// row. The pipe continues with the next row.
#[tokio::test]
async fn a_csv_pipe_continues_after_invalid_rows() {
    let mut command = serving("127.0.0.1:0");
    command
        .args(["--source", "stdin?symbol=XBT/USD"])
        .stdin(Stdio::piped());
    let mut server = TestServer::launch(command);
    let mut pipe = server.stdin();
    let mut reader = Reader::open(&server, "").await;
    writeln!(pipe, "Price;Note;%").unwrap();
    let bad: [(&[u8], &str); 3] = [
        (b"9;Soci\xe9t\xe9", "line 3: not UTF-8"),
        (b"9;\"open", "line 5: a quote is opened"),
        (
            b"9;;;1",
            "line 7: the row has 4 cells, but the header has 3",
        ),
    ];
    for (n, (row, says)) in (1..).zip(bad) {
        writeln!(pipe, "{n}.50;x;y").unwrap();
        let tick = reader.tick().await;
        assert_eq!(
            (tick.n, tick.symbol.as_str(), tick.price),
            (n, "XBT/USD", format!("{n}.50"))
        );
        pipe.write_all(&[row, b"\n"].concat()).unwrap();
        server.wait_for_log(says);
    }
    server.wait_for_log("line 1: ignored columns: %");
    drop(pipe);
    server.wait_for_log("source ended: 3 of 3 ticks were accepted");
}
