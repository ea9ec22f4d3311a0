//! What tests need besides Rust, by package manager: people's SSE clients and a browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::cargo;

/// The Python clients, for what they make of our bytes, and what tries our routes against their description.
const PYTHON: [&str; 5] =
    ["httpx==0.28.1", "httpx-sse==0.4.3", "requests==2.34.2", "schemathesis==4.32.5", "sseclient-py==1.9.0"];

/// The npm client, what drives the browser, what looks for barriers in pages, and what a guide's example is written for: the last
/// React that a page can load as it is.
const NPM: [&str; 5] =
    ["axe-core@4.14.1", "eventsource@4.1.0", "playwright-core@1.64.1", "react@18.3.1", "react-dom@18.3.1"];

/// What looks at dependencies: their licences, where they come from, copies, and what is known against them.
const DENY: &str = "0.20.2";

/// What was found or installed.
#[derive(Default)]
pub(crate) struct Tools {
    python: Option<PathBuf>,
    node: Option<PathBuf>,
    chromium: Option<PathBuf>,
    tmux: Option<PathBuf>,
    nginx: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    deny: Option<PathBuf>,
    missing: Vec<String>,
}

impl Tools {
    /// Installs what is not there, below `place`, except for what the system's package manager brings.
    pub(crate) fn install(place: &Path) -> Self {
        println!(
            "\n== tools: Python and npm SSE clients, schemathesis, Chromium, tmux as a terminal, nginx, HAProxy, and cargo-deny"
        );
        let mut tools = Self::default();
        let results = [
            python(place).map(|path| tools.python = Some(path)),
            node(place).map(|path| tools.node = Some(path)),
            program("Chromium", &["chromium", "chromium-browser", "google-chrome"])
                .map(|path| tools.chromium = Some(path)),
            program("tmux", &["tmux"]).map(|path| tools.tmux = Some(path)),
            program("nginx", &["nginx"]).map(|path| tools.nginx = Some(path)),
            program("HAProxy", &["haproxy"]).map(|path| tools.haproxy = Some(path)),
            deny(place).map(|path| tools.deny = Some(path)),
        ];
        tools.missing = results.into_iter().filter_map(Result::err).collect();
        tools
    }

    /// How tests are told where things are.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [
            ("XTASK_PYTHON", &self.python),
            ("XTASK_NODE", &self.node),
            ("XTASK_CHROMIUM", &self.chromium),
            ("XTASK_TMUX", &self.tmux),
            ("XTASK_NGINX", &self.nginx),
            ("XTASK_HAPROXY", &self.haproxy),
        ];
        all.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)))
    }

    /// Whether there is npm.
    pub(crate) const fn npm(&self) -> bool {
        self.node.is_some()
    }

    /// `cargo-deny`, where it is.
    pub(crate) fn deny(&self) -> Option<&Path> {
        self.deny.as_deref()
    }

    /// What could not be had, and why.
    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }
}

/// A virtual environment with the Python clients; returns its interpreter.
fn python(place: &Path) -> Result<PathBuf, String> {
    let home = place.join("python");
    let interpreter = home.join("bin/python");
    if !succeeds(
        Command::new(&interpreter).args(["-c", "import httpx_sse, sseclient, requests, schemathesis"]),
    ) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))
            .map_err(|error| format!("Python clients: {error}"))?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON);
        run(&mut pip).map_err(|error| format!("Python clients: {error}"))?;
    }
    Ok(interpreter)
}

/// A folder with the npm packages.
fn node(place: &Path) -> Result<PathBuf, String> {
    let home = place.join("node");
    let there = ["axe-core", "eventsource", "playwright-core", "react", "react-dom"]
        .iter()
        .all(|name| home.join("node_modules").join(name).exists());
    if !there {
        std::fs::create_dir_all(&home).map_err(|error| format!("npm packages: {error}"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(&home).args(NPM);
        run(&mut npm).map_err(|error| format!("npm packages: {error}"))?;
    }
    Ok(home)
}

/// `cargo-deny` itself. Unoptimised: it is built in a minute, and runs for a second.
fn deny(place: &Path) -> Result<PathBuf, String> {
    let home = place.join("deny");
    let program = home.join("bin/cargo-deny");
    if !succeeds(Command::new(&program).arg("--version")) {
        let mut cargo =
            cargo(&["install", "cargo-deny", "--version", DENY, "--locked", "--debug", "--quiet"]);
        cargo.arg("--root").arg(&home).env("CARGO_PROFILE_DEV_DEBUG", "0");
        run(&mut cargo).map_err(|error| format!("cargo-deny: {error}"))?;
    }
    Ok(program)
}

/// A program: one that is there under one of these names, or Debian's, whose package has the first of them.
fn program(what: &str, names: &[&str]) -> Result<PathBuf, String> {
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are where only root looks.
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let mut places = folders.flat_map(|dir| names.iter().map(move |name| dir.join(name)));
        places.find(|path| path.is_file())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    apt(&names[..1]).map_err(|error| format!("{what}: {error}"))?;
    find().ok_or_else(|| format!("{what}: installed, and not found"))
}

/// Whether something is there, installed now by package manager if it was not. What it is for is said, also where it has to be
/// done without.
pub(crate) fn have(there: impl Fn() -> bool, packages: &[&str], purpose: &str) -> bool {
    if !there() {
        println!("installing {}, {purpose}", packages.join(" and "));
        if let Err(error) = apt(packages) {
            println!("done without, {purpose}: {error}");
        }
    }
    there()
}

/// Installs packages of the system's, as root or as someone who may act as root without being asked.
fn apt(packages: &[&str]) -> Result<(), String> {
    let get = |arguments: &[&str]| {
        let mut direct = Command::new("apt-get");
        let mut asking = Command::new("sudo");
        asking.args(["--non-interactive", "apt-get"]);
        for command in [&mut direct, &mut asking] {
            command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        }
        run(&mut direct).or_else(|error| run(&mut asking).map_err(|_| error))
    };
    get(&["update", "-qq"])?;
    get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}").replace('"', "");
    println!("{shown}");
    match command.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}
