//! Flags, environment, file, defaults.

use std::io::Write;

use crate::server::tickcast;

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = tickcast(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn config(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn config_show_names_the_origin_of_each_setting() {
    let file = config(
        "listen = \"127.0.0.1:1\"\ndrain = \"3s\"\nflush_interval = \"7ms\"\npublish_token = \"secret\"\n[[source]]\nfrom = \"sim:7\"\n",
    );
    let path = file.path().to_str().unwrap();
    let environment = [
        ("TICKCAST_DRAIN", "4s"),
        ("TICKCAST_LISTEN", "127.0.0.1:2"),
        ("TICKCAST_CONFIG", path),
    ];
    let (code, stdout, _) = run(&["config", "show", "--listen", "127.0.0.1:3"], &environment);
    assert_eq!(code, Some(0));
    let line = |key: &str| {
        let line = stdout
            .lines()
            .find(|line| line.split_whitespace().next() == Some(key))
            .unwrap();
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("listen"), "127.0.0.1:3 # flag");
    assert_eq!(line("drain"), "4s # environment");
    assert_eq!(line("flush_interval"), "7ms # file");
    assert_eq!(line("source"), "sim:7 # file");
    assert_eq!(line("max_lag"), "1s # default");
    assert_eq!(line("publish_token"), "(hidden) # file");
}

#[test]
fn invalid_settings_give_one_line_and_exit_code_two() {
    let unknown = config("lissten = 1");
    let unknown = unknown.path().to_str().unwrap();
    let too_long = config("max_lag = \"2days\"");
    let too_long = too_long.path().to_str().unwrap();
    let cases = [
        (
            vec!["config", "check", "--config", too_long],
            None,
            "\"2days\" is longer than a day",
        ),
        (
            vec!["config", "check", "--config", unknown],
            None,
            "unknown key \"lissten\"; the nearest known name is \"listen\"",
        ),
        (
            vec!["config", "check"],
            Some(("TICKCAST_SOURSE", "sim")),
            "the nearest known name is \"TICKCAST_SOURCE\"",
        ),
        (
            vec!["--source", "bitmex:x"],
            None,
            "source \"bitmex:x\": the kind is unknown (expected sim[:SEED], replay:FILE, stdin, udp:IP:PORT, binance:SYMBOLS, coinbase:PRODUCTS, coinbase-advanced:PRODUCTS, kraken:SYMBOLS or none)",
        ),
        (
            vec!["--config", "/no/such.toml"],
            None,
            "/no/such.toml: No such file or directory",
        ),
        (
            vec!["--admin", "127.0.0.1:8080"],
            None,
            "listen and admin cannot both be 127.0.0.1:8080",
        ),
        (vec!["publish", "/dev/null"], None, "--token is missing"),
    ];
    for (arguments, environment, expected) in cases {
        let (code, _, stderr) = run(&arguments, environment.as_slice());
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains(expected) && stderr.lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
    }
    let (code, _, stderr) = run(&["--listen", "nowhere"], &[]);
    assert!(
        code == Some(2) && stderr.contains("'nowhere'") && stderr.contains("--listen"),
        "{stderr}"
    );
}

#[test]
fn times_of_the_hub_have_a_range_wherever_they_are_set() {
    let file = config("flush_interval = \"0s\"");
    let path = file.path().to_str().unwrap();
    for (arguments, environment, shown) in [
        (
            vec!["config", "check", "--flush-interval", "0s"],
            vec![],
            "0s",
        ),
        (
            vec!["--source", "none"],
            vec![("TICKCAST_MAX_LAG", "999us")],
            "999us",
        ),
        (vec!["config", "check", "--config", path], vec![], "0s"),
    ] {
        let (code, _, stderr) = run(&arguments, &environment);
        let expected = format!("{shown:?} is not a time from 1ms to 1day, such as 5ms or 2min");
        assert!(
            code == Some(2) && stderr.contains(&expected),
            "{arguments:?}: {stderr}"
        );
    }
}

#[test]
fn config_show_prints_every_option_of_a_source() {
    let file = config(
        "[[source]]\nfrom = \"coinbase?channel=matches\"\nsymbols = [\"BTC-USD\", \"ETH-USD\"]\nname = \"cb\"\nmap = { BTC-USD = \"BTC/USD\" }\nmax_ahead = \"2m\"\npaused = true\n[[source]]\nfrom = \"stdin\"\n",
    );
    let (_, stdout, _) = run(
        &["config", "show", "--config", file.path().to_str().unwrap()],
        &[],
    );
    let sources: Vec<_> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("source "))
        .map(str::trim)
        .collect();
    assert_eq!(sources.len(), 2, "{stdout}");
    let whole = "coinbase:BTC-USD,ETH-USD?channel=matches&name=cb&max_ahead=2m&paused=true&map.BTC-USD=BTC/USD";
    assert!(
        sources[0].starts_with(whole) && sources[0].ends_with("# file"),
        "{stdout}"
    );
    assert!(sources[1].starts_with("stdin "), "{stdout}");
    let (_, stdout, _) = run(
        &[
            "config",
            "show",
            "--source",
            "kraken:BTC/USD,ETH/USD?channel=trade",
        ],
        &[],
    );
    assert!(
        stdout.contains("kraken:BTC/USD,ETH/USD?channel=trade # flag"),
        "{stdout}"
    );
}

#[test]
fn the_publish_token_can_be_read_from_a_file() {
    let token = config("s3cret\n");
    let path = token.path().to_str().unwrap();
    let (code, stdout, stderr) = run(&["config", "show", "--publish-token-file", path], &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let line = |key: &str| {
        stdout
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("publish_token ").contains("(hidden)") && line("publish_token_file ").contains(path),
        "{stdout}"
    );
    assert!(!stdout.contains("s3cret"));
    let (spaced, empty) = (config("two words\n"), config("\n"));
    for (arguments, expected) in [
        (
            ["--publish-token-file", "/no/such", "--drain", "1s"],
            "publish_token_file: /no/such: No such file",
        ),
        (
            ["--publish-token-file", path, "--publish-token", "x"],
            "publish_token and publish_token_file cannot both",
        ),
        (
            [
                "--publish-token-file",
                spaced.path().to_str().unwrap(),
                "--drain",
                "1s",
            ],
            "printable ASCII without spaces",
        ),
        (
            [
                "--publish-token-file",
                empty.path().to_str().unwrap(),
                "--drain",
                "1s",
            ],
            "and not empty",
        ),
    ] {
        let (code, _, stderr) = run(&[&["config", "check"], &arguments[..]].concat(), &[]);
        assert!(
            code == Some(2) && stderr.contains(expected) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

/// Checks the default of `drain`: Docker sends `SIGKILL` ten seconds after `SIGTERM`.
#[test]
fn the_default_drain_is_shorter_than_the_stop_timeout_of_docker() {
    let (_, stdout, _) = run(&["config", "show"], &[]);
    let drain = stdout
        .lines()
        .find(|line| line.starts_with("drain "))
        .unwrap();
    assert_eq!(
        drain.split_whitespace().collect::<Vec<_>>(),
        ["drain", "8s", "#", "default"]
    );
}

#[test]
fn valid_settings_print_nothing() {
    assert_eq!(
        run(&["config", "check"], &[]),
        (Some(0), String::new(), String::new())
    );
    let (code, script, _) = run(&["completions", "bash"], &[]);
    assert!(code == Some(0) && script.contains("tickcast"));
}
