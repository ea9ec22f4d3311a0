//! `GET /v1/candles/{symbol}`.

use serde_json::{Value, json};

use crate::server::TestServer;

/// Noon of a day in the past, so that every candle is closed.
const NOON: i64 = 1_782_907_200_000;

async fn candles(server: &TestServer, query: &str) -> Vec<Value> {
    let (status, answer) = server.get(&format!("/v1/candles/A?{query}")).await;
    assert_eq!((status, &answer["symbol"]), (200, &json!("A")), "{answer}");
    answer["candles"].as_array().unwrap().clone()
}

async fn fill(server: &TestServer) {
    let lines: String = (0..600)
        .map(|i| {
            format!(
                "{{\"symbol\":\"A\",\"price\":{}.50,\"time\":{}}}\n",
                100 + i % 7,
                NOON + i * 500
            )
        })
        .collect();
    server.post_as("application/x-ndjson", lines).await;
}

#[tokio::test]
async fn all_intervals_are_built_from_the_same_ticks() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let server = TestServer::on_disk(folder.path(), &[]);
        if round == 0 {
            fill(&server).await;
        }
        let seconds = candles(&server, "interval=1s").await;
        assert_eq!(seconds.len(), 300);
        let first = json!({"time": NOON, "open": 100.50, "high": 101.50, "low": 100.50, "close": 101.50, "count": 2});
        assert_eq!(seconds[0], first);
        let minutes = candles(&server, "").await;
        assert_eq!(
            minutes
                .iter()
                .map(|candle| candle["count"].as_u64().unwrap())
                .collect::<Vec<_>>(),
            [120; 5]
        );
        let five = candles(&server, "interval=5m").await;
        assert_eq!(
            (five.len(), &five[0]["high"], &five[0]["count"]),
            (1, &json!(106.50), &json!(600))
        );
        let part = candles(
            &server,
            &format!("interval=1s&from={}&to={}&limit=2", NOON, NOON + 9_000),
        )
        .await;
        assert_eq!(
            part.iter()
                .map(|candle| candle["time"].as_i64().unwrap() - NOON)
                .collect::<Vec<_>>(),
            [8000, 9000]
        );
        // The first server is killed, so that the next start has only the tape. The second server
        // stops in order, so that the last start has a snapshot.
        if round == 0 {
            server.kill();
        } else {
            server.end();
        }
    }
}

#[tokio::test]
async fn an_open_candle_is_marked_as_not_closed() {
    let server = TestServer::start();
    server.publish(&[("A", "1.10")]).await;
    let day = &candles(&server, "interval=1d").await[0];
    assert_eq!(
        (&day["closed"], &day["close"]),
        (&json!(false), &json!(1.10))
    );
    let (status, problem) = server.get("/v1/candles/A?interval=2m").await;
    assert_eq!(
        (status, &problem["detail"]),
        (400, &json!("interval: expected 1s, 1m, 5m, 1h or 1d"))
    );
    for limit in ["5001", "-1", "many"] {
        let (_, problem) = server.get(&format!("/v1/candles/A?limit={limit}")).await;
        assert_eq!(
            problem["detail"], "limit: expected 1 to 5000 candles",
            "{limit}"
        );
    }
    assert_eq!(server.get("/v1/candles/B").await.0, 404);
}
