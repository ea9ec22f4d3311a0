//! The state of the market: prices, symbols, status, metrics.

use serde_json::json;

use crate::client::raw_field;
use crate::server::{TOKEN, TestServer};

#[tokio::test]
async fn prices_are_returned_for_all_some_or_one_symbol() {
    let server = TestServer::start();
    server
        .publish(&[
            ("XRP/ETH", "0.00152787"),
            ("BTC-USD", "97430.40"),
            ("A", "1"),
        ])
        .await;
    let names = |answer: &serde_json::Value| -> Vec<String> {
        answer["prices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tick| tick["symbol"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, all) = server.get("/v1/prices").await;
    assert_eq!(names(&all), ["A", "BTC-USD", "XRP/ETH"]);
    assert!(
        all["cursor"].as_str().unwrap().contains("-3."),
        "{}",
        all["cursor"]
    );
    let (_, some) = server.get("/v1/prices?symbols=B*,XRP/ETH,NONE").await;
    assert_eq!(names(&some), ["BTC-USD", "XRP/ETH"]);
    let one = server
        .http
        .get(format!("{}/v1/prices/XRP%2FETH", server.public))
        .send()
        .await
        .unwrap();
    assert_eq!(raw_field(&one.text().await.unwrap(), "price"), "0.00152787");
    let (status, problem) = server.get("/v1/prices/NONE").await;
    assert_eq!(
        (status, &problem["detail"]),
        (404, &json!("NONE is not on the market"))
    );
    assert_eq!(server.get("/v1/prices/A%20B").await.0, 400);
}

#[tokio::test]
async fn a_deleted_symbol_is_gone_until_its_next_tick() {
    let server = TestServer::start();
    server.publish(&[("A", "1"), ("A", "2")]).await;
    let delete = async |symbol: &str| {
        let request = server
            .http
            .delete(format!("{}/v1/prices/{symbol}", server.public))
            .bearer_auth(TOKEN);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(delete("A").await, 204);
    assert_eq!(delete("A").await, 404);
    assert_eq!(server.get("/v1/prices/A").await.0, 404);
    assert_eq!(
        server.get("/v1/symbols").await.1["symbols"][0]["state"],
        "gone"
    );
    server.publish(&[("A", "3")]).await;
    assert_eq!(
        server.get("/v1/prices/A").await.1["n"],
        3,
        "the tick number continues"
    );
}

#[tokio::test]
async fn unknown_paths_return_problem_json() {
    let server = TestServer::start();
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/v1/stream/x", 404),
        ("POST", "/v1/stream", 405),
        ("PUT", "/v1/prices", 405),
        ("GET", "/v1/prices/%FF", 400),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let response = server
            .http
            .request(method, format!("{}{path}", server.public))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        assert_eq!(
            response.json::<serde_json::Value>().await.unwrap()["status"],
            status
        );
    }
}

#[tokio::test]
async fn symbols_are_listed_in_pages() {
    let server = TestServer::start();
    server.post(r#"[{"symbol":"B","price":2,"time":1700000001000},{"symbol":"a","price":1.50,"time":1700000002000},{"symbol":"AB","price":3,"time":1700000003000}]"#).await;
    server
        .post(r#"{"symbol":"B","price":5,"time":1700000004000,"prev_close":2.10}"#)
        .await;
    let (_, page) = server.get("/v1/symbols?limit=2").await;
    let b = json!({"symbol":"B","source":"http","state":"live","ticks":2,"first_time":1_700_000_001_000_u64,"last_time":1_700_000_004_000_u64,"reference":2.10});
    assert_eq!((&page["symbols"][1], &page["next"]), (&b, &json!("B")));
    let (_, page) = server.get("/v1/symbols?limit=2&after=B").await;
    assert_eq!(
        (&page["symbols"][0]["symbol"], &page["next"]),
        (&json!("a"), &serde_json::Value::Null)
    );
    let (_, page) = server.get("/v1/symbols?q=b").await;
    assert_eq!(page["symbols"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn health_status_and_metrics_report_the_market() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    server
        .post(r#"[{"symbol":"A","price":"x"},{"symbol":"A","price":1,"time":1700000000005}]"#)
        .await;
    for base in [&server.public, &server.admin] {
        for route in ["/healthz", "/readyz"] {
            assert_eq!(
                server
                    .http
                    .get(format!("{base}{route}"))
                    .send()
                    .await
                    .unwrap()
                    .status(),
                200
            );
        }
    }
    let (_, mut status) = server.get("/v1/status").await;
    let since = status["sources"][0]
        .as_object_mut()
        .unwrap()
        .remove("since")
        .unwrap();
    assert!(since.as_i64() > Some(1_700_000_000_000), "{since}");
    assert_eq!(
        (&status["simulated"], &status["symbols"]),
        (&json!(false), &json!(1))
    );
    let http =
        json!({"name":"http","state":"live","accepted":1,"late":1,"unchanged":0,"rejected":1});
    assert_eq!(status["sources"], json!([http]));
    let metrics = server
        .http
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        "tickcast_streams 0",
        "tickcast_log_head 1",
        "tickcast_ticks_ingested_total{source=\"http\",outcome=\"accepted\"} 1",
        "tickcast_ticks_ingested_total{source=\"http\",outcome=\"late\"} 1",
        "tickcast_ingest_to_write_seconds_bucket{le=\"+Inf\"} 0",
        "# EOF",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in\n{metrics}"
        );
    }
    assert_eq!(
        server
            .http
            .get(format!("{}/metrics", server.public))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

/// Checks that every described route refuses unknown parameters, and accepts the described ones.
#[tokio::test]
async fn unknown_parameters_are_refused_on_every_route() {
    let server = TestServer::start();
    server.publish(&[("A", "1")]).await;
    let (_, description) = server.get("/openapi.json").await;
    let mut tested = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{symbol}", "A").replace("{stream}", "x");
        for (method, operation) in methods.as_object().unwrap() {
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let problem_detail = async |query: &str| {
                let url = format!("{}{path}?{query}", server.public);
                let request = server.http.request(method.clone(), url).bearer_auth(TOKEN);
                let response = request.send().await.unwrap();
                if response.status() != 400 {
                    return String::new();
                }
                response.json::<serde_json::Value>().await.unwrap()["detail"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            let detail = problem_detail("Symbol=B").await;
            assert!(
                detail.starts_with("unknown parameter \"Symbol\"; "),
                "{method} {path}: {detail}"
            );
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
                let detail =
                    problem_detail(&format!("{}=x", parameter["name"].as_str().unwrap())).await;
                assert!(!detail.contains("unknown"), "{method} {path}: {detail}");
                tested += 1;
            }
        }
    }
    assert!(tested > 15, "{tested}");
}

#[tokio::test]
async fn repeated_symbols_parameters_add_up_and_errors_suggest_the_right_case() {
    let server = TestServer::start();
    server
        .publish(&[("BRK.B", "1"), ("A", "1"), ("C", "1")])
        .await;
    let (_, prices) = server.get("/v1/prices?symbols=A&symbols=BRK.B").await;
    assert_eq!(prices["prices"].as_array().unwrap().len(), 2);
    let mut reader = crate::client::Reader::open(&server, "?symbols=C&symbols=A").await;
    assert_eq!(
        [reader.tick().await.symbol, reader.tick().await.symbol],
        ["A", "C"]
    );
    let (status, problem) = server.get("/v1/candles/A?limit=1&limit=2").await;
    assert_eq!(
        (status, &problem["detail"]),
        (400, &json!("limit: the parameter occurs twice"))
    );
    for path in ["/v1/prices/brk.b", "/v1/candles/brk.b", "/v1/ticks/brk.b"] {
        let (status, problem) = server.get(path).await;
        assert_eq!(
            (status, &problem["detail"]),
            (
                404,
                &json!("brk.b is not on the market; did you mean BRK.B?")
            )
        );
    }
    assert_eq!(
        server.get("/v1/prices/X").await.1["detail"],
        "X is not on the market"
    );
}
