//! The certificates of a listener, and the choice among them by the name that a client asks for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Maximum number of certificates of a listener.
const MAX_CERTIFICATES: usize = 64;

/// The names in a self-signed certificate.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The files of a certificate, in PEM format.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateFiles {
    /// The certificate, followed by the certificates of the authorities between it and the root.
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// The table `[tls]`: certificates for further names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsTable {
    #[serde(default)]
    pub(crate) certificate: Vec<CertificateFiles>,
}

/// Where the certificates come from.
#[derive(Debug, Clone)]
pub(crate) enum CertificateSource {
    /// The first one is for clients that ask for no name, or for another name.
    Files(Vec<CertificateFiles>),
    /// A new certificate for each start, which no client trusts. For trying out.
    SelfSigned,
}

/// The certificates that are in use.
pub(crate) struct Certificates {
    source: CertificateSource,
    current: RwLock<CertifiedKeys>,
    /// The stamps of the files before they were read for the first time.
    first_stamps: Vec<FileStamp>,
}

type CertifiedKeys = Vec<Arc<CertifiedKey>>;

/// What shows that a file was changed: its length, its time and its place on disk.
pub(super) type FileStamp = Option<(u64, Option<SystemTime>, u64)>;

impl Certificates {
    pub(super) fn load(source: CertificateSource) -> Result<Self, String> {
        let first_stamps = source.stamps();
        let current = RwLock::new(source.read()?);
        Ok(Self {
            source,
            current,
            first_stamps,
        })
    }

    /// Reads the files again. A self-signed certificate stays the same.
    ///
    /// # Errors
    /// If a file cannot be read or does not fit.
    pub(crate) fn read(&self) -> Result<CertifiedKeys, String> {
        match &self.source {
            CertificateSource::Files(_) => self.source.read(),
            CertificateSource::SelfSigned => Ok(self.current().clone()),
        }
    }

    /// Replaces the certificates. Open connections stay as they are.
    pub(crate) fn replace(&self, read: CertifiedKeys) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
    }

    /// Returns what shows that a file was changed, for each file.
    pub(super) fn stamps(&self) -> Vec<FileStamp> {
        self.source.stamps()
    }

    /// Returns these stamps as of the first time that the files were read.
    pub(super) fn first_stamps(&self) -> Vec<FileStamp> {
        self.first_stamps.clone()
    }

    fn current(&self) -> RwLockReadGuard<'_, CertifiedKeys> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the SHA-256 fingerprint of the first certificate, as browsers show it.
    pub(crate) fn fingerprint(&self) -> String {
        let current = self.current();
        let first = current.first().and_then(|key| key.cert.first());
        let hash = first.map(Sha256::digest);
        let bytes = hash.iter().flatten().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }

    /// Checks whether the certificate is self-signed, for trying out.
    pub(crate) const fn is_self_signed(&self) -> bool {
        matches!(self.source, CertificateSource::SelfSigned)
    }
}

fn stamp(path: &Path) -> FileStamp {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok(), metadata.ino()))
}

impl CertificateSource {
    fn stamps(&self) -> Vec<FileStamp> {
        let Self::Files(files) = self else {
            return Vec::new();
        };
        let paths = files.iter().flat_map(|files| [&files.cert, &files.key]);
        paths.map(|path| stamp(path)).collect()
    }

    fn read(&self) -> Result<CertifiedKeys, String> {
        match self {
            Self::SelfSigned => Ok(vec![self_signed()?]),
            Self::Files(files) if files.len() > MAX_CERTIFICATES => Err(format!(
                "{} certificates are given, the limit is {MAX_CERTIFICATES}",
                files.len()
            )),
            Self::Files(files) => files.iter().map(CertificateFiles::read).collect(),
        }
    }
}

impl CertificateFiles {
    fn read(&self) -> Result<Arc<CertifiedKey>, String> {
        let refused =
            |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refused(&self.cert, &error))?;
        if chain.is_empty() {
            return Err(refused(&self.cert, &"there is no certificate in this file"));
        }
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| refused(&self.key, &error))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider());
        let key = key.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let other = format!(
                    "the key does not belong to the certificate in {}",
                    self.cert.display()
                );
                refused(&self.key, &other)
            }
            error => refused(&self.cert, &error),
        })?;
        webpki::EndEntityCert::try_from(&key.cert[0])
            .map_err(|error| refused(&self.cert, &error))?;
        Ok(Arc::new(key))
    }
}

/// Makes a certificate for this machine that no client trusts.
fn self_signed() -> Result<Arc<CertifiedKey>, String> {
    let refused = |error: &dyn fmt::Display| format!("a self-signed certificate: {error}");
    let names = LOCAL_NAMES.map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| refused(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| refused(&error))?;
    let key = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &default_provider());
    Ok(Arc::new(key.map_err(|error| refused(&error))?))
}

/// Checks whether a certificate is for this name.
fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.cert.first().map(webpki::EndEntityCert::try_from);
    certificate
        .and_then(Result::ok)
        .is_some_and(|own| own.verify_is_valid_for_subject_name(name).is_ok())
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let meant = match (current.len(), &name) {
            (2.., Some(name)) => current.iter().find(|key| is_for(key, name)),
            _ => None,
        };
        meant.or_else(|| current.first()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.source).finish()
    }
}
