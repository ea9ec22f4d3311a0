//! The commands and files in the guides work as the guides say.

use std::process::Command;

use crate::server::{TOKEN, TestServer, tickcast};

/// Returns the first code block of a guide that is written in `language`.
pub(crate) fn block(guide: &str, language: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(guide);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Checks that the configuration file and the systemd unit of the guide are valid.
#[test]
fn the_service_files_in_the_guide_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (
        folder.path().join("tickcast.toml"),
        folder.path().join("publish-token"),
    );
    std::fs::write(&file, block("running.md", "toml")).unwrap();
    std::fs::write(&token, "secret\n").unwrap();
    let unit = block("running.md", "ini");
    let values = |key: &str| {
        unit.lines()
            .filter_map(|line| line.strip_prefix(key))
            .collect::<Vec<_>>()
    };
    let (name, value) = values("Environment=")[0].split_once('=').unwrap();
    let value = value.replace("%d", folder.path().to_str().unwrap());
    let [program] = values("ExecStart=")[..] else {
        panic!("{unit}")
    };
    let arguments = program
        .split_once(' ')
        .unwrap()
        .1
        .replace("/etc/tickcast.toml", file.to_str().unwrap());
    let mut command = tickcast(&["config", "show"]);
    let output = command
        .args(arguments.split(' '))
        .env(name, value)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && stdout.contains("(hidden)"),
        "{stdout}"
    );
    let sections: Vec<_> = unit.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(sections, ["[Unit]", "[Service]", "[Install]"]);
}

/// Checks the configuration of each use case, with files for the names in it.
#[test]
fn the_configurations_of_the_use_cases_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("fullchain.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(at("privkey.pem"), certificate.signing_key.serialize_pem()).unwrap();
    std::fs::write(at("reader-secret"), "0".repeat(64)).unwrap();
    let pages = [
        "website-login",
        "api-customer",
        "delayed-public-page",
        "publishing-partner",
    ];
    for page in pages {
        let text = block(&format!("access/{page}.md"), "toml");
        let text = text.replace("/etc/tickcast", folder.path().to_str().unwrap());
        std::fs::write(at("tickcast.toml"), text).unwrap();
        let mut command = tickcast(&["config", "check", "--config", "tickcast.toml"]);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{page}: {output:?}");
    }
}

/// Returns every `curl` command of the README and the guides, in order, with the name of its file.
fn commands() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![root.join("README.md")];
    for folder in ["docs", "docs/access"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    let mut commands = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .map(str::trim_start);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        commands.extend(
            lines
                .filter(|line| line.starts_with("curl "))
                .map(|line| (name.clone(), line.to_owned())),
        );
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn every_curl_command_in_the_guides_succeeds() {
    let server = TestServer::with(&["--source", "sim"]);
    server
        .publish(&[("AAPL", "189.50"), ("BTC-USD", "97000")])
        .await;
    let mut reader = crate::client::Reader::get(
        &server.http,
        &format!("{}/v1/stream?symbols=AAPL,BTC*", server.public),
    )
    .await;
    let name = reader.stream().await;
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for (guide, command) in commands {
        let here = command
            .replace(
                "localhost:8080",
                server.public.trim_start_matches("http://"),
            )
            .replace("localhost:9180", server.admin.trim_start_matches("http://"))
            .replacen(
                "curl ",
                "curl --silent --show-error --fail-with-body --max-time 3 ",
                1,
            );
        // A person who reads a stream stops `curl` by hand; here `head` stops it.
        let streams = command.contains("curl -N");
        let here = if streams {
            format!("{here} | head -c 300")
        } else {
            here
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &here])
            .env("TOKEN", TOKEN)
            .env("STREAM", &name);
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap())
            .await
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{guide}: {command}: {stdout}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !streams || stdout.contains("event: "),
            "{guide}: {command}: {stdout}"
        );
    }
}

/// The Rust lines of the README are lines of the example that it names, which is built with every
/// test.
#[test]
fn the_readme_shows_the_example() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```rust\n").unwrap();
    let shown = rest.split_once("```").unwrap().0;
    let example = std::fs::read_to_string(root.join("crates/tickcast/examples/embed.rs")).unwrap();
    assert!(
        shown.lines().count() >= 2 && example.contains(shown),
        "{shown}"
    );
    assert!(
        readme.split_whitespace().count() <= 650,
        "the README is for the first five minutes"
    );
}
