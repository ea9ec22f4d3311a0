//! Responses that are not streams. The server builds them in pieces and limits how many run at
//! once. A slow client does not delay the others.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::server::{TestServer, eventually};

/// Sends a request and reads only the beginning of the response. Returns the socket and the status.
fn stalled(server: &TestServer, path: &str) -> (Socket, u16) {
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let to: std::net::SocketAddr = server
        .public
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    socket.connect(&to.into()).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut line = [0; 12];
    socket.read_exact(&mut line).unwrap();
    let status = String::from_utf8_lossy(&line)
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    (socket, status)
}

/// Reads the rest of the response of a stalled client.
fn rest(mut socket: Socket) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 65_536];
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let length = socket.read(&mut piece).unwrap();
        assert!(length > 0, "the response ends early");
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}

/// Sends a request. Returns the status, the `retry-after` header and the body of the response.
async fn request(server: &TestServer, path: &str) -> (u16, Option<String>, String) {
    let answer = server
        .http
        .get(format!("{}{path}", server.public))
        .send()
        .await
        .unwrap();
    let retry = answer
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        retry,
        answer.text().await.unwrap(),
    )
}

fn threads(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Publishes a tick of about 950 bytes for each name.
async fn publish(server: &TestServer, names: impl Iterator<Item = String>, price: usize) {
    let pad = "x".repeat(420);
    let lines: String = names
        .map(|name| {
            format!("{{\"symbol\":\"{name}\",\"price\":{price},\"a\":\"{pad}\",\"b\":\"{pad}\"}}\n")
        })
        .collect();
    let count = lines.lines().count() as u64;
    let (status, answer) = server.post_as("application/x-ndjson", lines).await;
    assert_eq!(
        (status, answer["accepted"].as_u64()),
        (200, Some(count)),
        "{answer}"
    );
}

/// Checks that 100 readers that read nothing get at most 64 exports. Each export holds one piece
/// and no thread.
async fn stalled_exports(server: &TestServer) {
    publish(server, (0..4000).map(|_| "LONG".to_owned()), 1).await;
    server.publish(&[("SHORT", "1")]).await;
    assert_eq!(
        request(server, "/v1/ticks/SHORT").await.2.lines().count(),
        1
    );
    let (before, resident) = (threads(server), server.resident());
    let mut stalled: Vec<_> = (0..100)
        .map(|_| stalled(server, "/v1/ticks/LONG"))
        .collect();
    let served = stalled.iter().filter(|(_, status)| *status == 200).count();
    assert_eq!(
        (
            served,
            stalled.iter().filter(|(_, status)| *status == 503).count()
        ),
        (64, 36)
    );
    let (status, retry, problem) = request(server, "/v1/ticks/SHORT").await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")), "{problem}");
    assert!(
        problem.contains("too many exports are in progress"),
        "{problem}"
    );
    assert!(
        threads(server) <= before + 2,
        "{} threads, {before} before",
        threads(server)
    );
    let growth = server.resident().saturating_sub(resident);
    assert!(growth < 32 << 20, "{growth} bytes");
    let metrics = server
        .http
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("tickcast_exports 64\n"), "{metrics}");
    assert!(
        metrics.contains("tickcast_answers_refused_total 37\n"),
        "{metrics}"
    );
    // A reader that continues receives the whole export. Readers that leave free their slots.
    let whole = rest(stalled.swap_remove(0).0);
    assert_eq!(whole.matches("\"n\":4000,").count(), 1);
    assert_eq!(whole.matches("\"symbol\":\"LONG\"").count(), 4000);
    drop(stalled);
    eventually(async || request(server, "/v1/ticks/SHORT").await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_exports_from_memory_hold_one_piece_and_no_thread() {
    stalled_exports(&TestServer::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_exports_from_disk_hold_one_piece_and_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    stalled_exports(&TestServer::on_disk(
        folder.path(),
        &["--tape-ticks", "100"],
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_readers_of_all_prices_share_one_snapshot() {
    let server = TestServer::with(&["--source", "none", "--tape-ticks", "100"]);
    publish(&server, (0..5000).map(|n| format!("S{n:04}")), 1).await;
    assert_eq!(request(&server, "/v1/prices").await.0, 200);
    let resident = server.resident();
    let mut stalled: Vec<_> = (0..100).map(|_| stalled(&server, "/v1/prices")).collect();
    let growth = server.resident().saturating_sub(resident);
    // One complete response per reader would need 320 MB.
    assert!(growth < 32 << 20, "{growth} bytes");
    let served = stalled.iter().filter(|(_, status)| *status == 200).count();
    assert_eq!(
        (
            served,
            stalled.iter().filter(|(_, status)| *status == 503).count()
        ),
        (64, 36)
    );
    let (status, retry, problem) = request(&server, "/v1/prices").await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")), "{problem}");
    assert!(
        problem.contains("too many large answers are in progress"),
        "{problem}"
    );
    for small in [
        "/v1/prices?symbols=S0001,S4999",
        "/v1/prices/S0001",
        "/v1/symbols",
    ] {
        assert_eq!(request(&server, small).await.0, 200, "{small}");
    }
    // Earlier responses do not contain the ticks that are published after their requests.
    publish(&server, (0..5000).map(|n| format!("S{n:04}")), 2).await;
    let whole = rest(stalled.swap_remove(0).0);
    assert_eq!(
        whole.matches("\"price\":1,").count() + whole.matches("\"price\":2,").count(),
        5000
    );
    assert_eq!(whole.matches("\"price\":2,").count(), 0);
    drop(stalled);
    eventually(async || request(&server, "/v1/prices").await.0 == 200).await;
}

/// Checks that each price is the price as of the cursor, while a publisher continues to publish.
#[tokio::test(flavor = "multi_thread")]
async fn all_prices_are_as_of_the_cursor_of_the_response() {
    const SYMBOLS: usize = 2000;
    let server = std::sync::Arc::new(TestServer::start());
    let name = |n: usize| format!("S{n:04}");
    publish(&server, (0..SYMBOLS).map(name), 1).await;
    let publisher = std::sync::Arc::clone(&server);
    let publishing = tokio::spawn(async move {
        for round in 2.. {
            publish(&publisher, (0..SYMBOLS).map(name), round).await;
        }
    });
    for query in [
        "",
        "?symbols=S*",
        "?symbols=S0*,*9",
        "?symbols=S0000,S0001,S1999",
    ] {
        for _ in 0..3 {
            let (_, answer) = server.get(&format!("/v1/prices{query}")).await;
            let cursor = answer["cursor"].as_str().unwrap();
            let seq = cursor
                .split(['-', '.'])
                .nth(1)
                .unwrap()
                .parse::<usize>()
                .unwrap();
            let prices = answer["prices"].as_array().unwrap();
            let is_selected = |n: &usize| match query {
                "?symbols=S0*,*9" => *n < 1000 || n % 10 == 9,
                "?symbols=S0000,S0001,S1999" => [0, 1, 1999].contains(n),
                _ => true,
            };
            let received: Vec<_> = prices
                .iter()
                .map(|tick| (tick["symbol"].clone(), tick["n"].clone()))
                .collect();
            let as_of = |n: usize| {
                (
                    Value::from(name(n)),
                    Value::from((seq - 1 - n) / SYMBOLS + 1),
                )
            };
            assert_eq!(
                received,
                (0..SYMBOLS)
                    .filter(is_selected)
                    .map(as_of)
                    .collect::<Vec<_>>(),
                "{query}"
            );
        }
    }
    publishing.abort();
}

/// Sends more requests with the widest possible filters than there are worker threads. All other
/// requests are answered first.
#[tokio::test(flavor = "multi_thread")]
async fn slow_pattern_filters_do_not_delay_other_requests() {
    let server = TestServer::start();
    let names =
        (0..20_000).map(|n| format!("{{\"symbol\":\"{}{n:06}\",\"price\":1}}\n", "a".repeat(26)));
    server
        .post_as("application/x-ndjson", names.collect::<String>())
        .await;
    let patterns: Vec<_> = (0..100).map(|n| format!("*aaaaaaaaaaaaab{n:02}")).collect();
    let path = format!("/v1/prices?symbols={}", patterns.join(","));
    let wide = futures_util::future::select_all((0..6).map(|_| Box::pin(request(&server, &path))));
    let others = async {
        // By then the wide requests have arrived.
        let metrics = || server.http.get(format!("{}/metrics", server.admin)).send();
        eventually(async || {
            metrics()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                .contains("tickcast_large_answers 6\n")
        })
        .await;
        for path in [
            "/healthz",
            "/v1/prices/aaaaaaaaaaaaaaaaaaaaaaaaaa000001",
            "/v1/symbols?limit=3",
        ] {
            assert_eq!(request(&server, path).await.0, 200);
        }
    };
    tokio::select! {
        biased;
        ((status, ..), _, rest) = wide => {
            panic!("a wide request was answered ({status}) before others; {} were not", rest.len())
        }
        () = others => {}
    }
}

#[tokio::test]
async fn symbol_pages_list_every_symbol_once() {
    let server = TestServer::start();
    let names = (0..3000).map(|n| format!("{{\"symbol\":\"N{n:04}\",\"price\":1}}\n"));
    server
        .post_as("application/x-ndjson", names.collect::<String>())
        .await;
    let (mut after, mut found) = (String::new(), Vec::new());
    loop {
        let (_, page) = server
            .get(&format!("/v1/symbols?q=n&limit=700&after={after}"))
            .await;
        let names = page["symbols"].as_array().unwrap().iter();
        found.extend(names.map(|symbol| symbol["symbol"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        next.clone_into(&mut after);
    }
    assert_eq!(
        found,
        (0..3000).map(|n| format!("N{n:04}")).collect::<Vec<_>>()
    );
    let (_, page) = server.get("/v1/symbols?q=999").await;
    assert_eq!(page["symbols"].as_array().unwrap().len(), 3);
    // `after` may be any text.
    let (_, page) = server.get("/v1/symbols?after=N2998%20%7E").await;
    assert_eq!(page["symbols"].as_array().unwrap().len(), 1);
    let (status, problem) = server.get("/v1/prices/n2999").await;
    assert_eq!(
        (status, &problem["detail"]),
        (
            404,
            &"n2999 is not on the market; did you mean N2999?".into()
        )
    );
}

/// A client that has the answer with all prices gets it again only if it has changed.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_still_holds_is_not_sent_again() {
    let server = TestServer::start();
    publish(&server, (0..2000).map(|n| format!("S{n:04}")), 1).await;
    let mut connection =
        TcpStream::connect(server.public.strip_prefix("http://").unwrap()).unwrap();
    let http2 = reqwest::Client::builder().http2_prior_knowledge();
    let http2 = http2.build().unwrap();
    let mut head = |path: &str, known: &str| {
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nif-none-match: {known}\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        until_empty_line(&mut connection)
    };
    for path in ["/v1/prices", "/v1/prices?symbols=S*,T", "/v1/symbols"] {
        let url = format!("{}{path}", server.public);
        let ask = async |known: &str| {
            let request = server.http.get(&url).header("if-none-match", known);
            request.send().await.unwrap()
        };
        let first = ask("\"other\"").await;
        assert_eq!(first.status(), 200);
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let whole = first.bytes().await.unwrap();
        for client in [&server.http, &http2] {
            let same = client.get(&url).header("if-none-match", &tag);
            let same = same.send().await.unwrap();
            assert_eq!(same.status(), 304);
            assert_eq!(same.headers()["etag"], tag);
            assert_eq!(same.headers()["cache-control"], "private, no-cache");
            // It would be the length of the answer that the client has.
            assert!(same.headers().get("content-length").is_none());
            assert!(same.bytes().await.unwrap().is_empty());
        }
        assert!(head(path, &tag).starts_with("HTTP/1.1 304 "));
        publish(&server, ["S0000".to_owned()].into_iter(), whole.len()).await;
        let changed = ask(&tag).await;
        assert_eq!(changed.status(), 200);
        assert_ne!(changed.headers()["etag"], tag);
        assert_ne!(changed.bytes().await.unwrap(), whole);
        assert!(head(path, &tag).starts_with("HTTP/1.1 200 "));
    }
}

/// Reads the head of an answer.
fn until_empty_line(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
