//! Readers that vanish without closing the connection. The test cuts the link between two hosts.
//! Each host is a network namespace of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fakes::skipped;

use crate::server::{TestServer, eventually, serving};

/// Maximum time until the server notices that a reader has vanished.
const MAX_DETECTION_TIME: Duration = Duration::from_secs(45);

/// A host on the other end of the link. Dropping the value removes the host.
struct Host {
    name: String,
    /// Name of the interface on the near end of the link.
    near: String,
    /// IP address of the near end of the link.
    address: String,
    readers: Vec<Child>,
}

impl Host {
    /// Creates a host. Returns `None` if this machine, or this user, cannot create a network
    /// namespace.
    fn new() -> Option<Self> {
        let name = format!("tickcast-{}", std::process::id());
        let near = format!("tc{}", std::process::id());
        // A network of four addresses that no other run uses.
        let pid = std::process::id();
        let net = |last: u32| format!("10.203.{}.{}", pid % 256, pid / 256 % 64 * 4 + last);
        let (address, peer_address) = (net(1), net(2));
        let ip = |words: &str| {
            let status = Command::new("ip")
                .args(words.split(' '))
                .stderr(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        };
        ip(&format!("netns add {name}")).then_some(())?;
        let host = Self {
            name: name.clone(),
            near: near.clone(),
            address: address.clone(),
            readers: Vec::new(),
        };
        let steps = [
            format!("link add {near} type veth peer name far netns {name}"),
            format!("addr add {address}/30 dev {near}"),
            format!("link set {near} up"),
            format!("-n {name} addr add {peer_address}/30 dev far"),
            format!("-n {name} link set far up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(host)
    }

    fn read(&mut self, arguments: &[&str]) {
        let mut read = Command::new("ip");
        read.args(["netns", "exec", &self.name, "curl", "-sN"])
            .args(arguments);
        self.readers.push(
            read.stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
    }

    fn cut_link(&self) {
        let down = ["-n", &self.name, "link", "set", "far", "down"];
        assert!(Command::new("ip").args(down).status().unwrap().success());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The namespace stays as long as a process runs in it.
        for reader in &mut self.readers {
            let _ = reader.kill();
            let _ = reader.wait();
        }
        for arguments in [
            ["link", "delete", &self.near],
            ["netns", "delete", &self.name],
        ] {
            let _ = Command::new("ip").args(arguments).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_vanish_are_noticed() {
    let Some(mut host) = Host::new() else {
        return skipped(
            "readers_that_vanish_are_noticed",
            "a network namespace is needed: root, and iproute2",
        );
    };
    let mut command = serving(&format!("{}:0", host.address));
    command.args(["--source", "none"]);
    let server = TestServer::launch(command);
    // On each path, one reader that receives ticks and one that receives none: two direct, two on
    // the body path.
    for symbol in ["BUSY", "QUIET"] {
        let url = format!("{}/prices/stream?symbols={symbol}", server.public);
        for path in [&[][..], &["-H", "content-length: 0"]] {
            host.read(&[&[url.as_str()], path].concat());
        }
    }
    server.wait_for_streams(4).await;
    host.cut_link();
    let cut_at = Instant::now();
    eventually(async || {
        server.publish(&[("BUSY", "1")]).await;
        server.get("/v1/status").await.1["streams"] == 0
    })
    .await;
    assert!(
        cut_at.elapsed() < MAX_DETECTION_TIME,
        "{:?}",
        cut_at.elapsed()
    );
}
