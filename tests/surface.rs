//! Snapshots of the public surface: commands, settings, routes, responses and metrics. Each
//! snapshot is complete and easy to read. A review shows every change; `INSTA_UPDATE=always` writes
//! the new snapshots.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::server::{TestServer, tickcast};

/// Returns what a command prints on standard output.
fn prints(arguments: &[&str]) -> String {
    let output = tickcast(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn commands() {
    let mut help = prints(&["--help"]);
    for command in [
        "publish",
        "watch",
        "record",
        "bench",
        "tape",
        "tape check",
        "tape repair",
        "config",
        "token",
        "token sign",
        "token show",
        "token hash",
        "completions",
    ] {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        write!(help, "\n==== {command}\n{}", prints(&arguments)).unwrap();
    }
    insta::assert_snapshot!(help);
}

#[tokio::test]
async fn metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    server.publish(&[("A", "1")]).await;
    let text = server
        .http
        .get(format!("{}/metrics", server.admin))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let mut lines = BTreeSet::new();
    let mut described = String::new();
    for line in text.lines() {
        if line.starts_with('#') {
            writeln!(described, "{line}").unwrap();
        } else if let Some((series, _)) = line.rsplit_once(' ') {
            lines.insert(series.split("le=").next().unwrap().to_owned());
        }
    }
    let series: Vec<_> = lines.into_iter().collect();
    insta::assert_snapshot!(format!("{described}\n{}\n", series.join("\n")));
}

#[tokio::test]
async fn routes() {
    let server = TestServer::start();
    let (_, mut description) = server.get("/openapi.json").await;
    description["info"]["version"] = "VERSION".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&description).unwrap());
}

/// Returns the keys of a JSON value, each with the type of its value.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
    }
}

#[tokio::test]
async fn answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    server.publish(&[("A", "1")]).await;
    let mut snapshot = String::new();
    for path in [
        "/v1/status",
        "/v1/symbols",
        "/v1/prices",
        "/v1/prices/A",
        "/v1/candles/A?interval=1m",
    ] {
        let (_, answer) = server.get(path).await;
        writeln!(
            snapshot,
            "==== GET {path}\n{}",
            serde_json::to_string_pretty(&shape(&answer)).unwrap()
        )
        .unwrap();
    }
    let (_, answer) = server
        .post_as(
            "application/json",
            "[{\"symbol\":\"A\"},{\"symbol\":\"A\",\"price\":1}]".to_owned(),
        )
        .await;
    writeln!(
        snapshot,
        "==== POST /v1/prices\n{}",
        serde_json::to_string_pretty(&shape(&answer)).unwrap()
    )
    .unwrap();
    insta::assert_snapshot!(snapshot);
}
