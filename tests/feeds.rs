//! Live sources in the real program: fake exchanges behind real sockets, TLS, and sources that
//! change while the server runs.

use std::io::Write;
use std::net::SocketAddr;

use fakes::{Exchange, Fake, Fault, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Reader;
use crate::server::{TestServer, eventually};

/// Starts a fake exchange. Returns the fake and its address.
async fn fake(exchange: Exchange, symbols: &[&str]) -> (Fake, SocketAddr) {
    let mut options = Options::new(exchange, symbols);
    options.interval = std::time::Duration::from_millis(20);
    let fake = Fake::start(options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(fake.clone().listen(listener));
    (fake, address)
}

async fn source(server: &TestServer, name: &str) -> Value {
    let (_, status) = server.get("/v1/status").await;
    let sources = status["sources"].as_array().unwrap();
    sources
        .iter()
        .find(|source| source["name"] == name)
        .cloned()
        .unwrap_or_default()
}

async fn wait_for(server: &TestServer, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
    eventually(async || condition(&source(server, name).await)).await;
    source(server, name).await
}

async fn reload(server: &TestServer) -> (u16, Value) {
    let response = server
        .http
        .post(format!("{}/reload", server.admin))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn config() -> (tempfile::NamedTempFile, impl Fn(&str)) {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let path = file.path().to_path_buf();
    let write = move |text: &str| {
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    (file, write)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exchange_works_with_venue_names_and_local_names() {
    let (binance, at_binance) = fake(Exchange::Binance, &["BTCUSDT", "币安人生USDT"]).await;
    let (coinbase, at_coinbase) = fake(Exchange::Coinbase, &["BTC-USD"]).await;
    let (advanced, at_advanced) = fake(Exchange::Advanced, &["BTC-USD"]).await;
    let (kraken, at_kraken) = fake(Exchange::Kraken, &["BTC/USD"]).await;
    let server = TestServer::with(&[
        "--source",
        &format!(
            "binance:btcusdt=BTC/USDT,币安人生usdt=LIFE-USDT?url=ws://{at_binance}&channel=aggTrade"
        ),
        "--source",
        &format!("coinbase:BTC-USD?url=ws://{at_coinbase}"),
        "--source",
        &format!("coinbase-advanced:BTC-USD?url=ws://{at_advanced}&prefix=A:&name=advanced"),
        "--source",
        &format!("kraken:BTC/USD?url=ws://{at_kraken}"),
    ]);
    for name in ["binance", "coinbase", "advanced", "kraken"] {
        wait_for(&server, name, |source| {
            source["state"] == "live" && source["accepted"].as_u64() > Some(20)
        })
        .await;
    }
    let (_, prices) = server.get("/v1/prices").await;
    let prices = prices["prices"].as_array().unwrap().clone();
    let symbols: Vec<_> = prices
        .iter()
        .map(|price| price["symbol"].as_str().unwrap())
        .collect();
    assert_eq!(
        symbols,
        ["A:BTC-USD", "BTC-USD", "BTC/USD", "BTC/USDT", "LIFE-USDT"]
    );
    assert_eq!(
        (&prices[1]["change_basis"], &prices[3]["change_basis"]),
        (&json!("24h"), &Value::Null)
    );
    for fake in [binance, coinbase, advanced, kraken] {
        assert!(fake.record().violations.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_reported_without_affecting_other_sources() {
    let (coinbase, at_coinbase) = fake(Exchange::Coinbase, &["BTC-USD"]).await;
    let (_kraken, at_kraken) = fake(Exchange::Kraken, &["BTC/USD"]).await;
    let server = TestServer::with(&[
        "--source",
        &format!("coinbase:BTC-USD,FOO-BAR?url=ws://{at_coinbase}"),
        "--source",
        &format!("kraken:BTC/USD?url=ws://{at_kraken}"),
    ]);
    wait_for(&server, "coinbase", |source| {
        source["unhealthy_symbols"] == 1 && source["state"] == "live"
    })
    .await;
    wait_for(&server, "kraken", |source| source["state"] == "live").await;
    let mut reader = Reader::get(
        &server.http,
        &format!("{}/v1/stream?symbols=BTC-USD,FOO-BAR", server.public),
    )
    .await;
    let status = reader
        .until(|event| event.event == "status" && event.data.contains("FOO-BAR"))
        .await;
    let status: Value = serde_json::from_str(&status.data).unwrap();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (
            &json!("down"),
            &json!("the exchange refuses: FOO-BAR is not a valid product")
        )
    );

    let before = source(&server, "kraken").await;
    coinbase.misbehave(Fault::Refuse {
        times: 1,
        status: 503,
        retry_after: Some(600),
    });
    coinbase.misbehave(Fault::Abrupt);
    let has_status = |symbol: &'static str| {
        move |event: &eventsource_stream::Event| {
            event.event == "status"
                && event.data.contains(symbol)
                && event.data.contains("\"down\"")
        }
    };
    reader.until(has_status("\"source\":\"coinbase\"")).await;
    reader.until(has_status("\"symbol\":\"BTC-USD\"")).await;
    let down = wait_for(&server, "coinbase", |source| {
        source["reason"] == "the exchange answers 503 Service Unavailable"
    })
    .await;
    assert_eq!(down["state"], "down");
    let more = before["accepted"].as_u64().unwrap() + 100;
    let after = wait_for(&server, "kraken", |source| {
        source["accepted"].as_u64() > Some(more)
    })
    .await;
    assert_eq!(
        (&after["feed"]["connects"], &after["since"]),
        (&json!(1), &before["since"])
    );
    let (_, symbols) = server.get("/v1/symbols").await;
    assert_eq!(
        (
            &symbols["symbols"][0]["state"],
            &symbols["symbols"][1]["state"]
        ),
        (&json!("down"), &json!("live"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_exchange_is_reported_with_a_reason() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let server = TestServer::with(&[
        "--source",
        &format!("binance:btcusdt?url=ws://{free}&name=refused"),
        "--source",
        "kraken:BTC/USD?url=wss://exchange.invalid&name=unknown",
        "--source",
        "sim",
    ]);
    wait_for(&server, "refused", |source| {
        source["reason"]
            .as_str()
            .is_some_and(|why| why.contains("refused"))
    })
    .await;
    wait_for(&server, "unknown", |source| {
        source["reason"]
            .as_str()
            .is_some_and(|why| why != "connecting")
            && source["state"] == "down"
    })
    .await;
    wait_for(&server, "sim", |source| {
        source["accepted"].as_u64() > Some(10)
    })
    .await;
}

/// Starts a fake exchange behind TLS. Returns its address and its certificate.
async fn secure_fake() -> (SocketAddr, tempfile::NamedTempFile) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::aws_lc_rs::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![cert.der().clone()], key)
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let fake = Fake::start(Options::new(Exchange::Kraken, &["BTC/USD"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, fake) = (acceptor.clone(), fake.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate closes the connection.
                if let Ok(tls) = acceptor.accept(tcp).await {
                    fake.serve(tls).await;
                }
            });
        }
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(cert.pem().as_bytes()).unwrap();
    (address, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_connects_only_with_a_trusted_certificate() {
    let (address, certificate) = secure_fake().await;
    let source = format!("kraken:BTC/USD?url=wss://localhost:{}", address.port());
    let server = TestServer::with(&["--source", &source]);
    let down = wait_for(&server, "kraken", |source| {
        source["reason"]
            .as_str()
            .is_some_and(|why| why.starts_with("TLS: "))
    })
    .await;
    assert_eq!(down["state"], "down", "{down}");
    let server = TestServer::with_environment(
        &["--source", &source],
        &[("SSL_CERT_FILE", certificate.path().to_str().unwrap())],
    );
    wait_for(&server, "kraken", |source| {
        source["state"] == "live" && source["accepted"].as_u64() > Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_added_removed_and_paused_by_a_reload() {
    let (kraken, at_kraken) = fake(Exchange::Kraken, &["BTC/USD", "ETH/USD"]).await;
    let (file, write) = config();
    let table = |symbols: &str, more: &str| {
        format!(
            "[[source]]\nfrom = \"kraken\"\nsymbols = [{symbols}]\nurl = \"ws://{at_kraken}\"\n{more}"
        )
    };
    let sim = "[[source]]\nfrom = \"sim:7\"\n";
    write(&table("\"BTC/USD\", \"XBT/USD\"", sim));
    let server = TestServer::with(&["--config", file.path().to_str().unwrap()]);
    wait_for(&server, "kraken", |source| {
        source["state"] == "live" && source["unhealthy_symbols"] == 1
    })
    .await;
    assert_eq!(server.get("/v1/status").await.1["simulated"], true);

    // A reload of the same file changes nothing.
    let (code, answer) = reload(&server).await;
    let sources = &answer["sources"];
    assert_eq!(
        (code, &sources["unchanged"], &sources["changed"]),
        (200, &json!(["kraken", "sim:7"]), &json!([]))
    );

    // An invalid file changes nothing either. The response gives the reason.
    write(&table("\"BTC/USD\"", "[[source]]\nfrom = \"bitmex:x\"\n"));
    let (code, problem) = reload(&server).await;
    assert_eq!(code, 422);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the kind is unknown (expected sim"),
        "{problem}"
    );

    // One source is removed and one is paused.
    write(&table("\"BTC/USD\"", "paused = true\n"));
    let (_, answer) = reload(&server).await;
    let sources = &answer["sources"];
    assert_eq!(
        (&sources["removed"], &sources["paused"]),
        (&json!(["sim:7"]), &json!(["kraken"]))
    );
    assert_eq!(
        source(&server, "kraken").await["unhealthy_symbols"],
        Value::Null,
        "the invalid symbol is no longer requested"
    );
    let (paused, gone) = (
        source(&server, "kraken").await,
        source(&server, "sim:7").await,
    );
    assert_eq!(
        (&paused["state"], &gone["state"], &gone["reason"]),
        (&json!("paused"), &json!("ended"), &json!("removed"))
    );
    assert_eq!(server.get("/v1/status").await.1["simulated"], false);
    eventually(async || {
        kraken
            .record()
            .connects
            .iter()
            .all(|connect| connect.ended.is_some())
    })
    .await;

    // The source continues with one more symbol. The signal `SIGHUP` reloads too.
    write(&table("\"BTC/USD\", \"ETH/USD\"", ""));
    server.signal("-HUP");
    server.wait_for_log("reloaded");
    let more = paused["accepted"].as_u64().unwrap() + 10;
    wait_for(&server, "kraken", |source| {
        source["state"] == "live" && source["accepted"].as_u64() > Some(more)
    })
    .await;
    eventually(async || server.get("/v1/prices/ETH%2FUSD").await.0 == 200).await;
    assert!(kraken.record().violations.is_empty());

    // The response names the settings that need a restart.
    write(&format!(
        "drain = \"3s\"\n{}",
        table("\"BTC/USD\", \"ETH/USD\"", "")
    ));
    let (_, answer) = reload(&server).await;
    assert_eq!(answer["restart"], json!(["drain"]));
    let public = server
        .http
        .post(format!("{}/reload", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(public.status(), 404, "only the admin address has `/reload`");
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_sources_keep_their_connections_during_a_reload() {
    let (kraken, at_kraken) = fake(Exchange::Kraken, &["BTC/USD", "ETH/USD"]).await;
    let (file, write) = config();
    let table = |symbol: &str| {
        format!(
            "[[source]]\nfrom = \"kraken\"\nsymbols = [\"{symbol}\"]\nurl = \"ws://{at_kraken}\"\n"
        )
    };
    write(&[table("BTC/USD"), table("ETH/USD")].concat());
    let server = TestServer::with(&["--config", file.path().to_str().unwrap()]);
    for name in ["kraken", "kraken#2"] {
        wait_for(&server, name, |source| source["state"] == "live").await;
    }
    let mut reader = Reader::get(&server.http, &format!("{}/v1/stream", server.public)).await;
    reader.until(|event| event.event == "ready").await;

    // The second source keeps its number and its connection.
    write(&table("ETH/USD"));
    let (_, answer) = reload(&server).await;
    let sources = &answer["sources"];
    assert_eq!(
        (&sources["unchanged"], &sources["removed"]),
        (&json!(["kraken#2"]), &json!(["kraken"]))
    );
    assert_eq!(source(&server, "kraken#2").await["feed"]["connects"], 1);
    let has_status = |symbol: &'static str, state: &'static str| {
        move |event: &eventsource_stream::Event| {
            event.event == "status" && event.data.contains(symbol) && event.data.contains(state)
        }
    };
    reader
        .until(has_status("\"symbol\":\"BTC/USD\"", "\"gone\""))
        .await;

    // A new source takes a free name, not the name of the second source. A symbol that ticks again
    // is live again.
    write(&[table("ETH/USD"), table("BTC/USD")].concat());
    let (_, answer) = reload(&server).await;
    let sources = &answer["sources"];
    assert_eq!(
        (&sources["unchanged"], &sources["added"]),
        (&json!(["kraken#2"]), &json!(["kraken"]))
    );
    reader
        .until(has_status("\"symbol\":\"BTC/USD\"", "\"live\""))
        .await;
    wait_for(&server, "kraken", |source| {
        source["state"] == "live" && source["feed"]["connects"] == 2
    })
    .await;

    // A symbol that is no longer requested has ended. The other symbols of the source continue.
    write(&format!(
        "{}\n",
        table("ETH/USD").replace("[\"ETH/USD\"]", "[\"ETH/USD\", \"BTC/USD\"]")
    ));
    reload(&server).await;
    wait_for(&server, "kraken", |source| {
        source["state"] == "live" && source["feed"]["connects"] == 3
    })
    .await;
    write(&table("ETH/USD"));
    reload(&server).await;
    reader
        .until(has_status("\"symbol\":\"BTC/USD\"", "\"gone\""))
        .await;
    assert!(kraken.record().violations.is_empty());

    // An empty configuration does not add the simulator, because no one asked for simulated prices.
    write("");
    let (_, answer) = reload(&server).await;
    assert_eq!(
        (&answer["sources"]["added"], &answer["restart"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_lines_are_published_and_invalid_lines_are_counted() {
    let server = TestServer::with(&["--source", "udp:127.0.0.1:0?prefix=U:"]);
    let address = server.datagrams();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lines = "{\"symbol\":\"A\",\"price\":0.10}\n{\"symbol\":\"A\",\"price\":\"x\"}\nnonsense\n{\"symbol\":\"B\",\"price\":2}";
    socket.send_to(lines.as_bytes(), &address).await.unwrap();
    let udp = wait_for(&server, "udp:127.0.0.1:0", |source| source["accepted"] == 2).await;
    assert_eq!(
        (&udp["rejected"], &udp["feed"]["frames"]),
        (&json!(2), &json!(1)),
        "{udp}"
    );
    assert_eq!(
        server.get("/v1/prices/U:A").await.1["price"].to_string(),
        "0.1"
    );
}
