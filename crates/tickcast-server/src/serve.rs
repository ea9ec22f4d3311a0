//! `tickcast serve`: starts a server from the settings and shuts the server down in order.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::middleware;
use axum::serve::Listener;
use ipnet::IpNet;
use tickcast::{Hub, LaneThreads};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapResponseLayer;

use crate::auth::{PublishToken, PublishTokens};
use crate::exit::CliError;
use crate::overload::LastPressure;
use crate::proxy_protocol::ProxyListener;
use crate::reload::Reload;
use crate::settings::{Loader, Settings};
use crate::source::SourceManager;
use crate::tls::{TlsListener, TlsSettings};
use crate::{
    access, admin, app, auth, client_address, local_host, logging, overload, security_headers, tls,
};

/// Drain time per stream. With this time, 1000 clients reconnect within a second, not all at once.
/// All streams together get at most three quarters of the drain time. The rest is for writes in
/// progress.
const DRAIN_PER_STREAM: Duration = Duration::from_millis(1);

/// Maximum number of connections of operators. Operators are few, and they must not take file
/// descriptors from clients.
const OPERATORS: usize = 64;

/// Maximum time for the runtime to stop after everything has ended.
const WIND_UP: Duration = Duration::from_millis(100);

/// Runs the server until a signal stops the server.
pub(crate) fn run(loader: Loader) -> Result<(), CliError> {
    let settings = loader()?;
    logging::start(settings.log_format);
    // Every stream needs a file descriptor, so the limit is raised to the system's maximum.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files; the limit stays unchanged");
    }
    // Huge pages are disabled for two reasons. The kernel clears a huge page while a lane waits.
    // The allocator returns no memory of a huge page that is partly used.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "cannot disable huge pages; huge pages stay enabled");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(settings, loader));
    runtime.shutdown_timeout(WIND_UP);
    Ok(result?)
}

async fn serve(settings: Settings, loader: Loader) -> anyhow::Result<()> {
    let public = bind("listen", settings.listen)?;
    let private = bind("admin", settings.admin)?;
    let redirect = settings
        .redirect
        .map(|address| bind("redirect", address))
        .transpose()?;
    let mut signals = Signals::new().context("cannot install the signal handlers")?;

    let hub = open_hub(&settings)?;
    let mut tokens = settings.publish_tokens;
    if tokens.is_empty() {
        tokens.push(PublishToken::generate(settings.log_format)?);
    }
    let posted = hub
        .source("http", settings.post_options)
        .stale_after(settings.stale_after.0);
    let publishers = auth::require(PublishTokens::new(tokens), posted.router());
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    hub.start_lanes();
    let running = Arc::new(SourceManager::start(settings.sources, &hub, &stop, &tasks));
    let listeners = settings.tls.iter().chain(&settings.admin_tls);
    let certificates: Vec<_> = listeners.map(|tls| Arc::clone(&tls.certificates)).collect();
    let reload = Reload::new(
        loader,
        running,
        (hub.clone(), certificates.clone()),
        settings.shown,
    );
    if let Some(revoked) = settings.access.revoked() {
        revoked.apply(&hub);
    }
    let reload = Arc::new(reload);
    if let Some(keys) = settings.access.keys() {
        access::load_keys(keys, &hub, &stop, &tasks);
    }
    let app = app::router(&hub, publishers, settings.access, settings.origins);
    let proxies = settings.addresses.proxy_protocol_from().to_vec();
    let app = client_address::add(app, settings.addresses);

    let drain = settings.drain.0;
    let addresses = [public.local_addr().ok(), private.local_addr().ok()];
    announce(addresses, &settings.tls, hub.stats().simulated());
    for own in certificates {
        tasks.spawn(tls::watch(own, stop.clone()));
    }
    tasks.spawn(serving(
        (public, proxies.clone(), settings.tls),
        app,
        settings.max_connections,
        stop.clone().cancelled_owned(),
    ));
    if let (Some(redirect), Some(port)) = (redirect, addresses[0].map(|own| own.port())) {
        let stop = stop.clone().cancelled_owned();
        let redirects = tls::redirect_router(port);
        tasks.spawn(serving(
            (redirect, proxies, None),
            redirects,
            OPERATORS,
            stop,
        ));
    }
    let pressure = LastPressure::default();
    tasks.spawn(overload::watch(
        hub.clone(),
        settings.memory_budget,
        pressure.clone(),
        stop.clone(),
    ));
    // The operators' listener answers until the process ends.
    let operators = admin::router(&hub, &reload, pressure);
    let operators = match addresses[1].is_some_and(|own| own.ip().is_loopback()) {
        true => operators.layer(middleware::from_fn(local_host::require)),
        false => operators,
    };
    let operators = operators.layer(MapResponseLayer::new(security_headers::add));
    tokio::spawn(serving(
        (private, Vec::new(), settings.admin_tls),
        operators,
        OPERATORS,
        pending(),
    ));

    while signals.next().await == Signal::Reload {
        // The result is already in the log.
        let _ = reload.run().await;
    }
    tokio::spawn(signals.exit_at_next());
    // The health state changes before the log message, because a reader of the log may check the
    // health at once.
    hub.mark_draining();
    let streams = hub.stats().streams;
    let window = (drain / 4 * 3).min(DRAIN_PER_STREAM * u32::try_from(streams).unwrap_or(u32::MAX));
    tracing::info!(
        streams,
        "stopping: streams end within {window:?}, everything within {drain:?}"
    );
    stop.cancel();
    tasks.close();
    let ending = async { tokio::join!(hub.drain(window), tasks.wait()) };
    if tokio::time::timeout(drain, ending).await.is_err() {
        tracing::warn!(
            "some connections or tasks did not end within {drain:?}; the server ends them"
        );
    }
    hub.close();
    tracing::info!("stopped");
    Ok(())
}

/// Opens the hub, with the tape in memory or on disk as the settings say.
fn open_hub(settings: &Settings) -> anyhow::Result<Hub> {
    let mut builder = Hub::builder()
        .limits(settings.limits)
        .max_filter_bytes(settings.max_filter_bytes)
        .max_answer_bytes(settings.max_answer_bytes)
        .max_buffered_bytes(settings.max_buffered_bytes)
        .max_send_buffer_bytes(settings.max_send_buffer_bytes)
        .max_prepared_streams(settings.max_prepared_streams)
        .lanes(settings.lanes)
        .lane_threads(match settings.pin_lanes {
            true => LaneThreads::Pinned,
            false => LaneThreads::Own,
        })
        .flush_interval(settings.flush_interval.0)
        .max_lag(settings.max_lag.0)
        .require_viewer(settings.access.by_token())
        .delays(settings.access.delays().iter().copied())
        .io_backend(settings.io_backend.into());
    if let Some(max) = settings.addresses.max_streams {
        builder = builder.max_streams_per_address(max);
    }
    if let Some(max) = settings.addresses.max_opens {
        builder = builder.max_opens_per_address(max);
    }
    let Some((folder, options)) = &settings.data else {
        if !settings.access.delays().is_empty() {
            tracing::warn!(
                "the tape is in memory only: delayed readers get no prices for the time of their delay after each start, \
                 and only if the tape in memory reaches back so far (--tape-ticks, --tape-bytes); set --data to avoid both"
            );
        }
        return Ok(builder.try_build()?);
    };
    let begin = Instant::now();
    let hub = builder.tape(folder, *options).try_build()?;
    let stats = hub.stats();
    tracing::info!(
        cursor = %stats.cursor,
        symbols = stats.symbols,
        "the tape in {} was opened in {:.0?}",
        folder.display(),
        begin.elapsed()
    );
    Ok(hub)
}

/// Maximum number of connections that wait to be accepted. Any further client waits one second
/// before its next attempt. The operating system may allow fewer.
const BACKLOG: u32 = 4096;

fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A restart must not wait for old connections of the previous run.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| format!("cannot listen on {address} ({setting})"))
}

/// Serves an application over TCP, or over TLS, until `stop`. The connections of `proxies` begin with
/// a header.
async fn serving(
    (tcp, proxies, tls): (TcpListener, Vec<IpNet>, Option<TlsSettings>),
    app: Router,
    max_connections: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    match tls {
        None if proxies.is_empty() => serving_on(tcp, app, max_connections, stop).await,
        None => {
            let listener = ProxyListener::new(tcp, proxies);
            serving_on(listener, app, max_connections, stop).await;
        }
        Some(tls) => {
            let listener = TlsListener::new(ProxyListener::new(tcp, proxies), tls.config);
            serving_on(listener, app, max_connections, stop).await;
        }
    }
}

async fn serving_on(
    listener: impl Listener<Addr = SocketAddr>,
    app: Router,
    max_connections: usize,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    // The grace time is not limited here, because the drain time also limits this server.
    tickcast::serve(listener, app)
        .grace(Duration::MAX)
        .max_connections(max_connections)
        .with_graceful_shutdown(stop)
        .await;
}

fn announce(addresses: [Option<SocketAddr>; 2], tls: &Option<TlsSettings>, simulated: bool) {
    let [Some(public), Some(private)] = addresses else {
        return;
    };
    if simulated {
        tracing::info!(
            "the market is simulated, and the prices are not real; set --source for real prices"
        );
    }
    let certificates = tls.as_ref().map(|tls| &tls.certificates);
    if let Some(own) = certificates.filter(|own| own.is_self_signed()) {
        tracing::warn!(
            fingerprint = own.fingerprint(),
            "the certificate is self-signed: browsers warn of it, and curl needs -k; set --tls-cert and --tls-key for a real one"
        );
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!(%public, admin = %private, "listening on {scheme}://{public}");
}

/// The signals that the server handles.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[derive(PartialEq, Eq)]
enum Signal {
    Stop,
    Reload,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    async fn exit_at_next(mut self) {
        while self.next().await == Signal::Reload {}
        std::process::exit(1);
    }
}
