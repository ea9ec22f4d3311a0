//! `tickcast publish`, and the program as a new user meets it.

use std::io::Write;
use std::process::Stdio;

use crate::client::Reader;
use crate::server::{TOKEN, TestServer, tickcast};

async fn publish(server: &TestServer, text: &str, token: &str) -> (Option<i32>, String, String) {
    let mut command = tickcast(&["publish", "--url", &server.public, "--token", token, "-"]);
    let text = text.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A program that refuses its arguments does not read.
        let _ = pipe.write_all(text.as_bytes());
        drop(pipe);
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_file_goes_up_batch_by_batch() {
    let server = TestServer::start();
    let lines: String = (1..=2500).map(|n| format!("{{\"symbol\":\"A\",\"price\":{n}}}\n")).collect();
    let (code, says, _) = publish(&server, &lines, TOKEN).await;
    assert_eq!((code, says.as_str()), (Some(0), "2500 accepted, 0 late, 0 repeated, 0 rejected\n"));
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 2500);
}

#[tokio::test]
async fn rejected_lines_are_listed_by_their_lines() {
    let server = TestServer::start();
    let csv = "symbol,price,venue\nA,1.10,X\nB,abc,X\nA B,1,X\nC,2,\n";
    let (code, says, complains) = publish(&server, csv, TOKEN).await;
    assert_eq!((code, says.as_str()), (Some(1), "2 accepted, 0 late, 0 repeated, 2 rejected\n"));
    assert!(complains.contains("line 3: B: price `abc` is not a decimal number\n"), "{complains}");
    assert!(complains.contains("line 4: symbol holds ' '"), "{complains}");
    assert_eq!(server.get("/v1/prices/A").await.1["venue"], "X");
}

#[tokio::test]
async fn a_cut_file_is_told_of_also_where_lines_were_bad() {
    let server = TestServer::start();
    let lines: String =
        (0..20_000).map(|n| format!("{{\"symbol\":\"A\",\"price\":{}}}\n", n * 7919 % 10_007)).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(format!("{{\"symbol\":\"A\"}}\n{lines}").as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &bytes[..bytes.len() / 2]).unwrap();
    let path = cut.path().to_str().unwrap().to_owned();
    let mut command = tickcast(&["publish", "--url", &server.public, "--token", TOKEN, &path]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let complains = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complains.contains("line 1: A: price is missing\n"), "{complains}");
    assert!(complains.contains("incomplete deflate stream"), "{complains}");
}

#[tokio::test]
async fn a_wrong_token_is_final() {
    let server = TestServer::start();
    let (code, _, says) = publish(&server, "{\"symbol\":\"A\",\"price\":1}\n", "wrong").await;
    assert_eq!(code, Some(1));
    assert!(says.contains("401 Unauthorized: publishing needs"), "{says}");
}

#[tokio::test]
async fn without_arguments_there_is_a_market_a_page_and_a_token() {
    let mut command = tickcast(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("TICKCAST_LOG_FORMAT", "json").stdout(Stdio::null());
    let server = TestServer::launch(command);
    server.wait_for_log("the market is simulated");
    assert!(server.wait_for_log("publish token").len() > 60);
    assert_eq!(server.log().matches("publish token").count(), 1);
    let mut reader = Reader::open(&server, "?symbols=AAPL,BTC*").await;
    assert_eq!(
        (reader.tick().await.symbol.as_str(), reader.tick().await.symbol.as_str()),
        ("AAPL", "BTC-USD")
    );
    for _ in 0..20 {
        reader.tick().await;
    }
    assert_eq!(server.get("/v1/status").await.1["simulated"], true);
    let page = server.http.get(&server.public).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("<title>"));
}

#[tokio::test]
async fn the_same_seed_is_the_same_market() {
    let prices = async |seed: &str| {
        let server = TestServer::with(&["--source", &format!("sim:{seed}?rate=2000")]);
        let mut reader = Reader::open(&server, "?symbols=BTC-USD").await;
        let mut seen = std::collections::BTreeMap::new();
        while !seen.contains_key(&1000) {
            let tick = reader.tick().await;
            seen.insert(tick.n, tick.price);
        }
        seen
    };
    let (one, same, other) = (prices("7").await, prices("7").await, prices("8").await);
    let agreeing = |a: &std::collections::BTreeMap<u64, String>,
                    b: &std::collections::BTreeMap<u64, String>| {
        let both: Vec<_> = a.iter().filter_map(|(n, price)| Some((price, b.get(n)?))).collect();
        assert!(both.len() > 50, "the two runs overlap");
        both.iter().filter(|(a, b)| a == b).count() as f64 / both.len() as f64
    };
    assert_eq!(agreeing(&one, &same), 1.0);
    assert!(agreeing(&one, &other) < 0.5);
}
