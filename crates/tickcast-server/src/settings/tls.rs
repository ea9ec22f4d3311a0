//! The settings of TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Layers, Listen, SettingOrigin, SettingsError};
use crate::cli::{Layer, TlsMode};
use crate::tls::{CertificateFiles, CertificateSource, TlsSettings, TlsTable};

impl Layers<'_> {
    /// Loads the certificates of the public listener.
    pub(super) fn pick_tls(
        &mut self,
        flags: &Layer,
        file: &Layer,
        table: TlsTable,
    ) -> Result<Option<TlsSettings>, SettingsError> {
        let mode = self.choose("tls", flags.tls, file.tls);
        let cert = self.pick_path("tls_cert", flags.tls_cert.clone(), file.tls_cert.clone());
        let key = self.pick_path("tls_key", flags.tls_key.clone(), file.tls_key.clone());
        let mut files: Vec<_> = pair("tls_cert", cert, "tls_key", key)?
            .into_iter()
            .collect();
        files.extend(table.certificate);
        let (shown, origin) = match (&mode, files.len()) {
            (None, 0) => ("off".to_owned(), SettingOrigin::Default),
            (None, count) => (
                crate::words::count(count, "certificate"),
                SettingOrigin::File,
            ),
            (Some((TlsMode::SelfSigned, origin)), _) => ("self-signed".to_owned(), *origin),
        };
        self.show("tls", shown, origin);
        let source = match (mode, files.is_empty()) {
            (None, true) => return Ok(None),
            (None, false) => CertificateSource::Files(files),
            (Some(_), true) => CertificateSource::SelfSigned,
            (Some(_), false) => {
                let both = "tls = self-signed makes its own certificate: it cannot be set together with tls_cert, tls_key or [[tls.certificate]]";
                return Err(SettingsError(both.to_owned()));
            }
        };
        let loaded = TlsSettings::load(source, None);
        loaded
            .map(Some)
            .map_err(|error| SettingsError(format!("tls: {error}")))
    }

    /// Loads the certificate of the operators' listener.
    pub(super) fn pick_admin_tls(
        &mut self,
        flags: &Layer,
        file: &Layer,
    ) -> Result<Option<TlsSettings>, SettingsError> {
        let cert = self.pick_path(
            "admin_tls_cert",
            flags.admin_tls_cert.clone(),
            file.admin_tls_cert.clone(),
        );
        let key = self.pick_path(
            "admin_tls_key",
            flags.admin_tls_key.clone(),
            file.admin_tls_key.clone(),
        );
        let client_ca = self.pick_path(
            "admin_client_ca",
            flags.admin_client_ca.clone(),
            file.admin_client_ca.clone(),
        );
        let files = pair("admin_tls_cert", cert, "admin_tls_key", key)?;
        match (files, client_ca) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(SettingsError(
                "admin_client_ca needs admin_tls_cert and admin_tls_key".to_owned(),
            )),
            (Some(files), client_ca) => {
                let source = CertificateSource::Files(vec![files]);
                let loaded = TlsSettings::load(source, client_ca.as_deref());
                loaded
                    .map(Some)
                    .map_err(|error| SettingsError(format!("admin_tls: {error}")))
            }
        }
    }

    /// Returns the address that redirects to https.
    pub(super) fn pick_redirect(
        &mut self,
        flag: Option<Listen>,
        file: Option<Listen>,
        has_tls: bool,
    ) -> Result<Option<SocketAddr>, SettingsError> {
        let chosen = self.choose("redirect", flag, file);
        let (address, origin) = chosen.unzip();
        let shown = address.map_or_else(|| "(none)".to_owned(), |address| address.to_string());
        self.show("redirect", shown, origin.unwrap_or(SettingOrigin::Default));
        match address {
            Some(_) if !has_tls => {
                let why = "redirect needs https: set tls_cert and tls_key, or tls";
                Err(SettingsError(why.to_owned()))
            }
            address => Ok(address.map(|Listen(address)| address)),
        }
    }

    /// Refuses an address for operators that others can reach, unless operators need a certificate.
    pub(super) fn check_admin(
        &mut self,
        flags: &Layer,
        file: &Layer,
        (address, tls): (SocketAddr, Option<&TlsSettings>),
    ) -> Result<(), SettingsError> {
        let open = self.pick("admin_open", flags.admin_open, file.admin_open, false);
        let safe =
            address.ip().is_loopback() || tls.is_some_and(|tls| tls.wants_client_certificate);
        match safe || open {
            true => Ok(()),
            false => Err(SettingsError(format!(
                "admin: others can reach {address}, and whoever reaches it may read everything and reload; \
                 set admin_tls_cert, admin_tls_key and admin_client_ca, or admin_open if a firewall protects it"
            ))),
        }
    }

    fn pick_path(
        &mut self,
        key: &'static str,
        flag: Option<PathBuf>,
        file: Option<PathBuf>,
    ) -> Option<PathBuf> {
        let chosen = self.choose(key, flag, file);
        let (path, origin) = chosen.unzip();
        let shown = path
            .as_ref()
            .map(|path: &PathBuf| path.display().to_string());
        let shown = shown.unwrap_or_else(|| "(none)".to_owned());
        self.show(key, shown, origin.unwrap_or(SettingOrigin::Default));
        path
    }
}

/// Returns the two files of a certificate. Either is useless alone.
fn pair(
    cert_name: &str,
    cert: Option<PathBuf>,
    key_name: &str,
    key: Option<PathBuf>,
) -> Result<Option<CertificateFiles>, SettingsError> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(CertificateFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingsError(format!("{cert_name} needs {key_name}, too"))),
        (None, Some(_)) => Err(SettingsError(format!("{key_name} needs {cert_name}, too"))),
    }
}
