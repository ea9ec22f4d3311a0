//! TLS for the listeners, by rustls: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.

mod certificates;
mod io;
mod listener;
mod redirect;
mod watch;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub(crate) use certificates::{CertificateFiles, CertificateSource, Certificates, TlsTable};
pub(crate) use listener::TlsListener;
pub(crate) use redirect::router as redirect_router;
pub(crate) use watch::watch;

/// The protocols over TLS, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a listener needs for TLS.
#[derive(Clone)]
pub(crate) struct TlsSettings {
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) wants_client_certificate: bool,
}

impl TlsSettings {
    /// Loads the certificates. With `client_ca`, each client must have a certificate of one of the
    /// authorities in this file.
    pub(crate) fn load(
        source: CertificateSource,
        client_ca: Option<&Path>,
    ) -> Result<Self, String> {
        let certificates = Arc::new(Certificates::load(source)?);
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match client_ca {
            Some(file) => {
                let provider = Arc::new(default_provider());
                let roots = Arc::new(authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| format!("{}: {error}", file.display()))?,
                )
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as Arc<_>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // A client that comes back, as thousands do after a restart of a proxy, needs no signature.
        config.ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        Ok(Self {
            certificates,
            config: Arc::new(config),
            wants_client_certificate: client_ca.is_some(),
        })
    }
}

/// Reads the certificates of authorities.
fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let refused = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots.add(certificate).map_err(|error| refused(&error))?;
    }
    match roots.is_empty() {
        true => Err(refused(&"there is no certificate in this file")),
        false => Ok(roots),
    }
}
