//! Flags, environment, file, defaults.

use std::io::Write;

use crate::server::tickcast;

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = tickcast(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn config(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn each_value_says_where_it_comes_from() {
    let file = config(
        "listen = \"127.0.0.1:1\"\ndrain = \"3s\"\nflush = \"7ms\"\npublish_token = \"secret\"\n[[source]]\nfrom = \"sim:7\"\n",
    );
    let path = file.path().to_str().unwrap();
    let environment =
        [("TICKCAST_DRAIN", "4s"), ("TICKCAST_LISTEN", "127.0.0.1:2"), ("TICKCAST_CONFIG", path)];
    let (code, shown, _) = run(&["config", "show", "--listen", "127.0.0.1:3"], &environment);
    assert_eq!(code, Some(0));
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("listen"), "127.0.0.1:3 # flag");
    assert_eq!(line("drain"), "4s # environment");
    assert_eq!(line("flush"), "7ms # file");
    assert_eq!(line("source"), "sim:7 # file");
    assert_eq!(line("patience"), "1s # default");
    assert_eq!(line("publish_token"), "(hidden) # file");
}

#[test]
fn mistakes_are_one_line_and_exit_code_two() {
    let unknown = config("lissten = 1");
    let unknown = unknown.path().to_str().unwrap();
    let cases = [
        (
            vec!["config", "check", "--config", unknown],
            None,
            "unknown key \"lissten\"; the nearest known one is \"listen\"",
        ),
        (
            vec!["config", "check"],
            Some(("TICKCAST_SOURSE", "sim")),
            "the nearest known one is \"TICKCAST_SOURCE\"",
        ),
        (
            vec!["--source", "bitmex:x"],
            None,
            "source \"bitmex:x\": known are sim[:SEED], replay:FILE, stdin, udp:IP:PORT, binance:SYMBOLS, coinbase:PRODUCTS, coinbase-advanced:PRODUCTS, kraken:SYMBOLS and none",
        ),
        (vec!["--config", "/no/such.toml"], None, "/no/such.toml: No such file or directory"),
        (vec!["--admin", "127.0.0.1:8080"], None, "listen and admin cannot both be 127.0.0.1:8080"),
        (vec!["publish", "/dev/null"], None, "--token is missing"),
    ];
    for (arguments, environment, expected) in cases {
        let (code, _, says) = run(&arguments, environment.as_slice());
        assert_eq!(code, Some(2), "{arguments:?}: {says}");
        assert!(says.contains(expected) && says.lines().count() == 1, "{arguments:?}: {says}");
    }
    let (code, _, says) = run(&["--listen", "nowhere"], &[]);
    assert!(code == Some(2) && says.contains("'nowhere'") && says.contains("--listen"), "{says}");
}

#[test]
fn good_settings_pass_in_silence() {
    assert_eq!(run(&["config", "check"], &[]), (Some(0), String::new(), String::new()));
    let (code, script, _) = run(&["completions", "bash"], &[]);
    assert!(code == Some(0) && script.contains("tickcast"));
}
