//! Debian's nginx with nchan.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;

use super::server::{Server, free_address, pinned};

/// The path of nchan in Debian's package.
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Starts nginx with nchan and one worker. The settings are fast: no access log, and a small
/// message buffer.
pub(super) fn start(folder: &Path) -> Result<Server> {
    let address = free_address()?;
    let folder_path = folder.display();
    let configuration = format!(
        "load_module {NCHAN};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder_path}/nginx.pid;
error_log {folder_path}/nginx.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder_path}/body; proxy_temp_path {folder_path}/proxy; fastcgi_temp_path {folder_path}/fastcgi;
  uwsgi_temp_path {folder_path}/uwsgi; scgi_temp_path {folder_path}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  server {{
    listen {address} backlog=4096;
    location = /pub {{
      nchan_publisher; nchan_channel_id ticks; nchan_message_buffer_length 16; nchan_message_timeout 5s;
    }}
    location = /sub {{
      nchan_subscriber eventsource; nchan_channel_id ticks; nchan_subscriber_first_message newest;
    }}
  }}
}}
"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration)?;
    let child = pinned(0, &nginx())
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()?;
    Server::running(
        child,
        &address,
        &[
            "--stream-path",
            "/sub",
            "--publish-path",
            "/pub",
            "--no-batch",
        ],
    )
}

fn nginx() -> PathBuf {
    PathBuf::from("/usr/sbin/nginx")
}

/// Returns whether nchan can be measured. Installs nchan with the package manager if nchan is
/// missing.
pub(in crate::bench) fn is_installed() -> bool {
    let is_present = || nginx().exists() && Path::new(NCHAN).exists();
    crate::tools::try_install(
        is_present,
        &["nginx-light", "libnginx-mod-nchan"],
        "to measure against nchan",
    )
}
