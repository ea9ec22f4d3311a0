//! `tickcast watch` in a pipe.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::server::{TestServer, tickcast};

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_on_after_a_restart_and_end_with_whoever_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::on_disk(folder.path(), &[]);
    let url = server.public.clone();
    server.publish(&[("A", "0.10")]).await;
    let mut watch = tickcast(&["watch", "--json", "--url", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with(r#"{"symbol":"A","price":0.10,"#));
    server.end();
    let server = TestServer::again(folder.path(), &url);
    server.publish(&[("A", "0.20")]).await;
    let next = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines)).await.unwrap();
    assert!(next.0.starts_with(r#"{"symbol":"A","price":0.20,"#), "{}", next.0);
    // The pipe is closed: the next line cannot be written, and that is no failure.
    drop(next.1);
    let ended = tokio::task::spawn_blocking(move || watch.wait().unwrap());
    while !ended.is_finished() {
        server.publish(&[("A", "0.30")]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(ended.await.unwrap().success());
}

#[tokio::test]
async fn people_are_told_the_change_with_its_sign() {
    let server = TestServer::start();
    server.publish(&[("A", "1.00"), ("A", "0.75")]).await;
    let mut watch =
        tickcast(&["watch", "--plain", "--url", &server.public, "A"]).stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(watch.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    assert_eq!(words, ["A", "0.75", "-0.25", "-25%"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
}
