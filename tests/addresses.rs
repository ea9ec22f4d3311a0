//! Limits for each address of clients, also behind trusted proxies.

use crate::client::Reader;
use crate::resumable::short;
use crate::server::{TestServer, eventually, tickcast};

async fn open(server: &TestServer, forwarded: Option<&str>) -> Reader {
    let mut request = server
        .http
        .get(format!("{}/v1/stream?symbols=A", server.public));
    if let Some(addresses) = forwarded {
        request = request.header("x-forwarded-for", addresses);
    }
    Reader::send(request).await
}

/// Returns the first event, without its position.
async fn first(reader: &mut Reader) -> String {
    let event = reader.event().await.unwrap();
    short(&event).split(" @").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_streams() {
    let server = TestServer::with(&["--source", "none", "--max-streams-per-address", "2"]);
    server.publish(&[("A", "1")]).await;
    let (mut one, mut two) = (open(&server, None).await, open(&server, None).await);
    assert_eq!(first(&mut one).await, "tick A 1=1");
    assert_eq!(first(&mut two).await, "tick A 1=1");
    // Nobody believes a header that anyone can send.
    for forged in [None, Some("198.51.100.7")] {
        assert_eq!(first(&mut open(&server, forged).await).await, "bye busy");
    }
    drop(one);
    eventually(async || first(&mut open(&server, None).await).await == "tick A 1=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own() {
    let server = TestServer::with(&[
        "--source",
        "none",
        "--max-streams-per-address",
        "1",
        "--trusted-proxies",
        "127.0.0.0/8,10.0.0.0/8",
    ]);
    server.publish(&[("A", "1")]).await;
    let mut readers = Vec::new();
    for client in ["198.51.100.7", "198.51.100.8", "2001:db8:1:1::1"] {
        let mut reader = open(&server, Some(client)).await;
        assert_eq!(first(&mut reader).await, "tick A 1=1", "{client}");
        readers.push(reader);
    }
    // The same client, also with a forged address before its own, or from its own network.
    for again in [
        "198.51.100.7",
        "203.0.113.9, 198.51.100.7",
        "203.0.113.9, 198.51.100.8, 10.1.2.3",
        "2001:db8:1:1:ffff::2",
    ] {
        assert_eq!(
            first(&mut open(&server, Some(again)).await).await,
            "bye busy",
            "{again}"
        );
    }
}

#[test]
fn networks_that_are_none_are_refused() {
    for bad in ["10.0.0.0/33", "proxy.example", "10.0.0.1"] {
        let output = tickcast(&["config", "check", "--trusted-proxies", bad])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("trusted-proxies"));
    }
}
