//! `tickcast publish`, and the first steps of a new user.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use axum::http::StatusCode;

use crate::client::Reader;
use crate::server::{TOKEN, TestServer, tickcast};

pub(crate) async fn publish(
    server: &TestServer,
    text: &str,
    token: &str,
) -> (Option<i32>, String, String) {
    publish_as(&[], server, text, token).await
}

async fn publish_as(
    arguments: &[&str],
    server: &TestServer,
    text: &str,
    token: &str,
) -> (Option<i32>, String, String) {
    let mut command = tickcast(&["publish", "--url", &server.public, "--token", token, "-"]);
    command.args(arguments);
    let text = text.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A program that refuses its arguments does not read its input.
        let _ = pipe.write_all(text.as_bytes());
        drop(pipe);
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn publish_sends_a_file_in_batches() {
    let server = TestServer::start();
    let lines: String = (1..=2500)
        .map(|n| format!("{{\"symbol\":\"A\",\"price\":{n}}}\n"))
        .collect();
    let (code, stdout, _) = publish(&server, &lines, TOKEN).await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "2500 accepted, 0 late, 0 unchanged, 0 rejected\n")
    );
    assert_eq!(server.get("/v1/prices/A").await.1["n"], 2500);
}

#[tokio::test]
async fn publish_reports_rejected_ticks_by_line() {
    let server = TestServer::start();
    let csv = "symbol,price,venue\nA,1.10,X\nB,abc,X\nA B,1,X\nC,2,\n";
    let (code, stdout, stderr) = publish(&server, csv, TOKEN).await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(1), "2 accepted, 0 late, 0 unchanged, 2 rejected\n")
    );
    assert!(
        stderr.contains("line 3: B: price `abc` is not a decimal number\n"),
        "{stderr}"
    );
    assert!(stderr.contains("line 4: symbol holds ' '"), "{stderr}");
    assert_eq!(server.get("/v1/prices/A").await.1["venue"], "X");
}

/// Checks that a thousands separator does not turn 612,345.00 into 612.
#[tokio::test]
async fn publish_rejects_a_row_with_too_many_cells() {
    let server = TestServer::start();
    let csv = "symbol,price,size\nBRK.A,612,345.00,3\nAAPL,189.50,100\nMSFT,410.10,,\n";
    let (code, stdout, stderr) = publish(&server, csv, TOKEN).await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(1), "2 accepted, 0 late, 0 unchanged, 1 rejected\n")
    );
    assert_eq!(
        stderr.lines().collect::<Vec<_>>(),
        [
            "line 2: the row has 4 cells, but the header has 3",
            "tickcast: 1 tick was rejected"
        ]
    );
    assert_eq!(server.get("/v1/prices/BRK.A").await.0, 404);
}

#[tokio::test]
async fn publish_reads_an_archive_with_given_columns_and_symbol() {
    let server = TestServer::start();
    let archive = ["--columns", "time_s,price,size,-", "--symbol", "XBTUSD"];
    let rows = "1704067200,42101.5,0.1,x\n2024-01-01T00:01:00Z,42103.0,0.2,y\n";
    let (code, stdout, _) = publish_as(&archive, &server, rows, TOKEN).await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "2 accepted, 0 late, 0 unchanged, 0 rejected\n")
    );
    let (_, tick) = server.get("/v1/prices/XBTUSD").await;
    assert_eq!(
        (&tick["time"], &tick["size"]),
        (&1_704_067_260_000_i64.into(), &0.2.into())
    );
    for (arguments, expected) in [
        (
            &["--columns", "time,price"][..],
            "--columns: column symbol is missing",
        ),
        (
            &["--columns", "price,a b"],
            "`a b` is not a valid name for an extra",
        ),
        (&["--symbol", "a b"], "symbol holds ' '"),
    ] {
        let (code, _, stderr) = publish_as(arguments, &server, rows, TOKEN).await;
        assert!(code == Some(2) && stderr.contains(expected), "{stderr}");
    }
}

/// Checks that every command keeps the path of `--url`, with or without a slash at its end.
#[tokio::test(flavor = "multi_thread")]
async fn commands_keep_the_path_of_the_url() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new()
        .route(
            "/market/v1/prices",
            axum::routing::post(async || r#"{"accepted":1}"#),
        )
        .route(
            "/market/v1/stream",
            axum::routing::get(async || (StatusCode::GONE, "found")),
        );
    tokio::spawn(tickcast::serve(listener, app).into_future());
    for url in [format!("{base}/market"), format!("{base}/market/")] {
        let output = run(&["publish", "--url", &url, "--token", "t", "-"]).await;
        assert!(output.status.success(), "{output:?}");
        let output = run(&["watch", "--url", &url]).await;
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("410: "),
            "{output:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_servers_and_bad_urls_are_named_in_errors() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let mut watch = tickcast(&["watch", "--plain", "--url", &url])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(watch.stderr.take().unwrap())
        .lines()
        .next()
        .unwrap()
        .unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(
        line.starts_with(&format!("cannot connect to {url}: Connection refused")),
        "{line}"
    );
    for arguments in [
        &["watch"][..],
        &["record", "x"],
        &["publish", "x"],
        &["bench"],
    ] {
        let output = run(&[arguments, &["--url", "foo"]].concat()).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && stderr.contains("invalid value 'foo' for '--url"),
            "{stderr}"
        );
    }
    let output = run(&["publish", "no/such.csv", "--token", "t"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        stderr,
        "tickcast: such.csv: No such file or directory (os error 2)\n"
    );
}

/// Runs the program with one tick on its standard input.
async fn run(arguments: &[&str]) -> std::process::Output {
    let mut command = tickcast(arguments);
    let running = tokio::task::spawn_blocking(move || {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses its arguments does not read its input.
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(b"{\"symbol\":\"A\",\"price\":1}\n");
        child.wait_with_output().unwrap()
    });
    running.await.unwrap()
}

#[tokio::test]
async fn a_truncated_file_is_reported_in_addition_to_bad_lines() {
    let server = TestServer::start();
    let lines: String = (0..20_000)
        .map(|n| format!("{{\"symbol\":\"A\",\"price\":{}}}\n", n * 7919 % 10_007))
        .collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(format!("{{\"symbol\":\"A\"}}\n{lines}").as_bytes())
        .unwrap();
    let bytes = encoder.finish().unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &bytes[..bytes.len() / 2]).unwrap();
    let path = cut.path().to_str().unwrap().to_owned();
    let mut command = tickcast(&["publish", "--url", &server.public, "--token", TOKEN, &path]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("line 1: A: price is missing\n"), "{stderr}");
    assert!(stderr.contains("incomplete deflate stream"), "{stderr}");
}

/// Checks the pause that the server asks for, and the number of accepted ticks in the last message.
#[tokio::test(flavor = "multi_thread")]
async fn publish_waits_as_asked_and_reports_what_was_accepted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&times);
    let answer = async move || {
        let mut times = seen.lock().unwrap();
        times.push(std::time::Instant::now());
        let (status, body) = match times.len() {
            1 => (StatusCode::TOO_MANY_REQUESTS, r#"{"accepted":3,"late":2}"#),
            _ => (StatusCode::UNAUTHORIZED, r#"{"detail":"no longer"}"#),
        };
        (status, [("retry-after", "1")], body)
    };
    let app = axum::Router::new().route("/v1/prices", axum::routing::post(answer));
    tokio::spawn(tickcast::serve(listener, app).into_future());
    let output = run(&["publish", "--url", &url, "--token", "t", "-"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("stopped in the batch from line 1, 3 accepted")
            && stderr.contains("no longer"),
        "{stderr}"
    );
    let times = times.lock().unwrap();
    // The pause of the program itself is at most 150 ms.
    let pause = times[1] - times[0];
    assert!(times.len() == 2 && pause.as_secs() >= 1, "{pause:?}");
}

#[tokio::test]
async fn publish_does_not_retry_a_wrong_token() {
    let server = TestServer::start();
    let (code, _, stderr) = publish(&server, "{\"symbol\":\"A\",\"price\":1}\n", "wrong").await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("401 Unauthorized: publishing needs"),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_defaults_give_a_simulated_market_a_page_and_a_token() {
    let mut command = tickcast(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command
        .env("TICKCAST_LOG_FORMAT", "json")
        .stdout(Stdio::null());
    let server = TestServer::launch(command);
    server.wait_for_log("the market is simulated");
    let log_entry: serde_json::Value =
        serde_json::from_str(&server.wait_for_log("publish token")).unwrap();
    let token = log_entry["publish_token"].as_str().unwrap();
    let request = server
        .http
        .post(format!("{}/v1/prices", server.public))
        .bearer_auth(token);
    let request = request
        .header("content-type", "application/json")
        .body(r#"{"symbol":"ACME","price":1}"#);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let log = server.log();
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
    assert_eq!(server.log().matches("publish token").count(), 1);
    let mut reader = Reader::open(&server, "?symbols=AAPL,BTC*").await;
    assert_eq!(
        (
            reader.tick().await.symbol.as_str(),
            reader.tick().await.symbol.as_str()
        ),
        ("AAPL", "BTC-USD")
    );
    for _ in 0..20 {
        reader.tick().await;
    }
    assert_eq!(server.get("/v1/status").await.1["simulated"], true);
    let page = server.http.get(&server.public).send().await.unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert!(page.text().await.unwrap().contains("<title>"));
}

/// Checks paths with extra slashes, which come from addresses that are joined by hand.
#[tokio::test]
async fn paths_with_extra_slashes_redirect_to_the_clean_path() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    for (path, end) in [
        ("/docs/", "/docs"),
        ("//docs", "/docs"),
        ("//v1//prices/?symbols=A", "/v1/prices?symbols=A"),
    ] {
        let answer = server
            .http
            .get(format!("{}{path}", server.public))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.url().as_str(), format!("{}{end}", server.public));
    }
    let direct = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let redirect = direct
        .get(format!("{}//evil.example/", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (redirect.status().as_u16(), &redirect.headers()["location"]),
        (308, &"../../evil.example".parse().unwrap())
    );
    let post = direct
        .post(format!("{}/v1/prices/", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(post.status(), 404, "a publish request is not redirected");
    assert_eq!(server.get("/no/such").await.0, 404);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_prices() {
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
    let agreement = |a: &std::collections::BTreeMap<u64, String>,
                     b: &std::collections::BTreeMap<u64, String>| {
        let both: Vec<_> = a
            .iter()
            .filter_map(|(n, price)| Some((price, b.get(n)?)))
            .collect();
        assert!(both.len() > 50, "the two runs must overlap");
        both.iter().filter(|(a, b)| a == b).count() as f64 / both.len() as f64
    };
    assert_eq!(agreement(&one, &same), 1.0);
    assert!(agreement(&one, &other) < 0.5);
}
