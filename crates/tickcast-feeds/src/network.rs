//! Connections to the servers of exchanges.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::http::Uri;

/// Maximum time for one address to accept a connection.
const ANSWER: Duration = Duration::from_secs(3);

/// A byte stream to and from an exchange. Every type with these supertraits implements it.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A future that opens a connection. Returned by [`Dial::dial`].
pub type DialFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn ByteStream>, DialError>> + Send + 'a>>;

/// A way to open a byte stream to a URL: the network, or a substitute in a test. Pass it to
/// [`Network::by`].
pub trait Dial: Send + Sync + 'static {
    /// Opens a byte stream to this URL, with TLS if the scheme is `wss`.
    ///
    /// # Errors
    /// If the URL has no host, the server does not answer, or the TLS handshake fails.
    fn dial<'a>(&'a self, url: &'a Uri) -> DialFuture<'a>;
}

/// An error while connecting to an exchange. Returned by [`Dial::dial`].
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A URL without a host.
    #[error("the URL has no host")]
    NoHost,
    /// The host name is unknown, or no server answers at the address. Contains the error of the
    /// system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The TLS handshake failed, for example because the certificate is not valid for the host. Or
    /// TLS is not available. Contains the reason.
    #[error("TLS: {0}")]
    Tls(String),
}

/// The network access of all feeds in a program. Pass it to [`Feed::run`](crate::Feed::run). Cheap
/// to clone. All clones together respect the minimum time between two connections to a host.
/// Default: the real network.
#[derive(Clone)]
pub struct Network {
    dial: Arc<dyn Dial>,
    /// The time when each host may be dialled next.
    next: Arc<Mutex<HashMap<String, Instant>>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// Creates access to the real network: TCP, and TLS with the certificates that the system
    /// trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::by(Internet::default())
    }

    /// Creates network access with a custom dialler.
    #[must_use]
    pub fn by(dial: impl Dial) -> Self {
        Self {
            dial: Arc::new(dial),
            next: Arc::default(),
        }
    }

    pub(crate) async fn dial(&self, url: &Uri) -> Result<Box<dyn ByteStream>, DialError> {
        self.dial.dial(url).await
    }

    /// Reserves and returns the next time to dial the host of `url`, at least `every` after the
    /// previous dial.
    pub(crate) fn next_slot(&self, url: &Uri, every: Duration) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        let turn = next.entry(host).or_insert_with(Instant::now);
        let at = (*turn).max(Instant::now());
        *turn = at + every;
        at
    }
}

/// The real network: TCP, and TLS if the URL requires TLS.
#[derive(Default)]
struct Internet {
    tls: OnceLock<Arc<rustls::ClientConfig>>,
}

impl Dial for Internet {
    fn dial<'a>(&'a self, url: &'a Uri) -> DialFuture<'a> {
        Box::pin(async move {
            let host = url
                .host()
                .ok_or(DialError::NoHost)?
                .trim_matches(['[', ']']);
            let secure = url.scheme_str() == Some("wss");
            let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let tcp = connect(host, port).await?;
            // Subscriptions are small, and prices wait for them.
            tcp.set_nodelay(true)?;
            if !secure {
                return Ok(Box::new(tcp) as Box<dyn ByteStream>);
            }
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| DialError::Tls(error.to_string()))?;
            let tls = TlsConnector::from(self.tls()?).connect(name, tcp).await;
            Ok(
                Box::new(tls.map_err(|error| DialError::Tls(error.to_string()))?)
                    as Box<dyn ByteStream>,
            )
        })
    }
}

/// Connects to the first address of a host that answers. If an address never answers, as happens
/// with IPv6, time remains for the other addresses.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        failed = match timeout(ANSWER, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{address} does not answer"),
            ),
        };
    }
    Err(failed)
}

impl Internet {
    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, DialError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let refuse = |error: rustls::Error| DialError::Tls(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refuse)?
            .with_platform_verifier()
            .map_err(refuse)?
            .with_no_client_auth();
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_is_dialled_at_its_rate_and_other_hosts_are_not_delayed() {
        let network = Network::new();
        let (here, there): (Uri, Uri) =
            ("ws://a:1/x".parse().unwrap(), "ws://b:1/x".parse().unwrap());
        let every = Duration::from_secs(4);
        let start = Instant::now();
        let turns = [&here, &here, &there, &here].map(|url| network.next_slot(url, every) - start);
        assert_eq!(turns, [0, 4, 0, 8].map(Duration::from_secs));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(
            network.next_slot(&here, every),
            Instant::now(),
            "nobody saves up turns"
        );
    }
}
