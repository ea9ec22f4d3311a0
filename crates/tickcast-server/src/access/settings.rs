//! The table `[access]` of the configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::Deserialize;

use super::issuer::Issuer;
use super::key::Key;
use super::key_set::KeySet;
use super::keys::Keys;
use super::origins::Origins;
use super::publishers::{self, PublisherTable};
use super::revoked::Revoked;
use crate::auth::PublishToken;

/// Minimum length of a shared secret, in bytes: that of its hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// The beginning of a key in PEM format.
const PEM: &[u8] = b"-----BEGIN ";

/// Length of the public keys of ES256 (an uncompressed point) and EdDSA, in bytes, and range of the
/// lengths of RSA keys: 2,048 to 8,192 bits, in DER format.
const P256_BYTES: std::ops::RangeInclusive<usize> = 65..=65;
const ED25519_BYTES: std::ops::RangeInclusive<usize> = 32..=32;
const RSA_BYTES: std::ops::RangeInclusive<usize> = 265..=1_050;

/// Maximum number of keys. Each key without a name is tried for each token.
const MAX_KEYS: usize = 16;

/// The range of a delay, in seconds, and the maximum number of delays: those of the library.
const DELAYS: std::ops::RangeInclusive<u32> = 1..=86_400;
const MAX_DELAYS: usize = 8;

/// Who may read.
pub(crate) enum AccessSettings {
    /// Everyone.
    Open,
    /// Who has a token.
    Token {
        keys: Arc<Keys>,
        cookie: Option<String>,
        delays: Vec<Duration>,
        revoked: Revoked,
    },
}

impl AccessSettings {
    /// Returns the tokens and readers that may no longer read, if readers need a token.
    pub(crate) const fn revoked(&self) -> Option<&Revoked> {
        match self {
            Self::Open => None,
            Self::Token { revoked, .. } => Some(revoked),
        }
    }

    /// Returns the delays of delayed readers.
    pub(crate) fn delays(&self) -> &[Duration] {
        match self {
            Self::Open => &[],
            Self::Token { delays, .. } => delays,
        }
    }

    /// Returns the keys of readers, if readers need a token.
    pub(crate) const fn keys(&self) -> Option<&Arc<Keys>> {
        match self {
            Self::Open => None,
            Self::Token { keys, .. } => Some(keys),
        }
    }

    /// Checks whether readers need a token.
    pub(crate) const fn by_token(&self) -> bool {
        matches!(self, Self::Token { .. })
    }
}

/// The table `[access]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessTable {
    #[serde(default)]
    readers: Readers,
    cookie: Option<String>,
    /// The origins whose pages may read with the logins of their visitors.
    #[serde(default)]
    origins: Vec<String>,
    /// The delays of delayed readers, in seconds.
    #[serde(default)]
    delays: Vec<u32>,
    /// The `jti` of tokens, and the `sub` of readers, that may no longer read.
    #[serde(default)]
    revoked_tokens: Vec<String>,
    #[serde(default)]
    revoked_subjects: Vec<String>,
    #[serde(default)]
    key: Vec<KeyTable>,
    #[serde(default)]
    publisher: Vec<PublisherTable>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Readers {
    #[default]
    Open,
    Token,
}

/// A table `[[access.key]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    alg: KeyAlgorithm,
    kid: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    jwks_url: Option<String>,
    jwks_ca: Option<PathBuf>,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum KeyAlgorithm {
    HS256,
    RS256,
    ES256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl AccessTable {
    /// Reads the keys, and checks that the table makes sense.
    pub(crate) fn settings(&self) -> Result<AccessSettings, String> {
        if self.readers == Readers::Open {
            return match self.key.is_empty() && self.cookie.is_none() && self.delays.is_empty() {
                true => Ok(AccessSettings::Open),
                false => Err(
                    "access: keys, a cookie and delays have no effect while readers = \"open\""
                        .to_owned(),
                ),
            };
        }
        match self.key.len() {
            0 => {
                return Err(
                    "access: readers = \"token\" needs at least one [[access.key]]".to_owned(),
                );
            }
            count if count > MAX_KEYS => {
                return Err(format!(
                    "access: {count} keys are given, the limit is {MAX_KEYS}"
                ));
            }
            _ => {}
        }
        if let Some(cookie) = self.cookie.as_ref().filter(|name| !is_cookie_name(name)) {
            return Err(format!(
                "access.cookie: {cookie:?} is not a name of letters, digits, - and _"
            ));
        }
        let allowed = |delay: &&u32| !DELAYS.contains(*delay);
        if let Some(delay) = self.delays.iter().find(allowed) {
            return Err(format!(
                "access.delays: {delay} s is outside {} ..= {} s",
                DELAYS.start(),
                DELAYS.end()
            ));
        }
        if self.delays.len() > MAX_DELAYS {
            return Err(format!(
                "access.delays: {} delays are given, the limit is {MAX_DELAYS}",
                self.delays.len()
            ));
        }
        let delays = self.delays.iter().copied().map(u64::from);
        let delays = delays.map(Duration::from_secs).collect();
        let keys = self.key.iter().enumerate();
        let (mut own, mut sets) = (Vec::new(), Vec::new());
        for (i, key) in keys {
            let named = |error| format!("access.key {}: {error}", i + 1);
            match key.read().map_err(named)? {
                KeySource::Key(key) => own.push(*key),
                KeySource::Set(set) => sets.push(*set),
            }
        }
        Ok(AccessSettings::Token {
            keys: Arc::new(Keys::new(own, sets)),
            revoked: Revoked::parse(&self.revoked_tokens, &self.revoked_subjects)?,
            cookie: self.cookie.clone(),
            delays,
        })
    }

    /// Returns the first HS256 key, or the one with the name `kid`, to sign tokens with it.
    pub(crate) fn signing_key(&self, kid: Option<&str>) -> Result<SigningKey, String> {
        let is_meant = |key: &&KeyTable| {
            matches!(key.alg, KeyAlgorithm::HS256)
                && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
        };
        let Some(key) = self.key.iter().find(is_meant) else {
            let named = kid
                .map(|kid| format!(" with the kid {kid:?}"))
                .unwrap_or_default();
            return Err(format!(
                "the configuration has no [[access.key]] of HS256{named}; public keys cannot sign, see --private-key-file"
            ));
        };
        Ok(SigningKey {
            kid: key.kid.clone(),
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(&key.secret()?),
            issuer: key.issuer.clone(),
            audience: key.audience.clone(),
        })
    }

    /// Reads the origins.
    pub(crate) fn origins(&self) -> Result<Origins, String> {
        Origins::parse(&self.origins).map_err(|error| format!("access.origins: {error}"))
    }

    /// Reads the tokens of publishers.
    pub(crate) fn publish_tokens(&self) -> Result<Vec<PublishToken>, String> {
        publishers::tokens(&self.publisher)
    }

    /// Returns a text that changes with everything of the table that needs a restart, and with the
    /// contents of its files. It is secret.
    pub(crate) fn secret_text(&self) -> String {
        let files = self
            .key
            .iter()
            .flat_map(|key| [&key.secret_file, &key.public_key_file, &key.jwks_ca]);
        let contents: Vec<_> = files
            .flatten()
            .map(|path| std::fs::read(path).ok())
            .collect();
        // A reload applies these lists, so they need no restart.
        let lasting = Self {
            revoked_tokens: Vec::new(),
            revoked_subjects: Vec::new(),
            ..self.clone()
        };
        format!("{lasting:?} {contents:?}")
    }

    /// Describes the table in a line, without secrets.
    pub(crate) fn shown(&self) -> String {
        let readers = match self.readers {
            Readers::Open => "open".to_owned(),
            Readers::Token => format!("token ({})", crate::words::count(self.key.len(), "key")),
        };
        match self.publisher.len() {
            0 => readers,
            publishers => format!(
                "{readers}, {}",
                crate::words::count(publishers, "publisher")
            ),
        }
    }
}

/// A key of the configuration, or an address of keys.
enum KeySource {
    Key(Box<Key>),
    Set(Box<KeySet>),
}

impl KeyTable {
    fn read(&self) -> Result<KeySource, String> {
        if self.issuer.as_ref().is_some_and(|name| name.contains(' ')) {
            return Err("issuer must not contain a space".to_owned());
        }
        let expected = (self.issuer.clone(), self.audience.clone());
        if let Some(url) = &self.jwks_url {
            return self.key_set(url, expected);
        }
        if self.jwks_ca.is_some() {
            return Err("jwks_ca has no effect without jwks_url".to_owned());
        }
        let given = (&self.secret, &self.secret_file, &self.public_key_file);
        let (algorithm, decoding) = match (self.alg, given) {
            (KeyAlgorithm::HS256, _) => {
                (Algorithm::HS256, DecodingKey::from_secret(&self.secret()?))
            }
            (alg, (None, None, Some(path))) => public(alg, path)?,
            _ => {
                let why = "this algorithm needs public_key_file or jwks_url, and no secret";
                return Err(why.to_owned());
            }
        };
        let key = Key::new((algorithm, decoding), self.kid.clone(), expected);
        Ok(KeySource::Key(Box::new(key)))
    }

    /// Returns the keys at an address.
    fn key_set(
        &self,
        url: &str,
        expected: (Option<String>, Option<String>),
    ) -> Result<KeySource, String> {
        let algorithm = match self.alg {
            KeyAlgorithm::HS256 => {
                return Err("jwks_url has public keys: alg is RS256, ES256 or EdDSA".to_owned());
            }
            KeyAlgorithm::RS256 => Algorithm::RS256,
            KeyAlgorithm::ES256 => Algorithm::ES256,
            KeyAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        let others = (
            &self.secret,
            &self.secret_file,
            &self.public_key_file,
            &self.kid,
        );
        if !matches!(others, (None, None, None, None)) {
            return Err(
                "jwks_url has keys and their names: secret, public_key_file and kid have no effect"
                    .to_owned(),
            );
        }
        let issuer = Issuer::new(url, self.jwks_ca.as_deref(), algorithm, expected)?;
        Ok(KeySource::Set(Box::new(KeySet::new(issuer))))
    }

    /// Returns the shared secret of an HS256 key.
    fn secret(&self) -> Result<Vec<u8>, String> {
        match (&self.secret, &self.secret_file, &self.public_key_file) {
            (Some(secret), None, None) => shared(secret.as_bytes()),
            (None, Some(path), None) => shared_secret(path),
            _ => Err("HS256 needs secret or secret_file, one of them".to_owned()),
        }
    }
}

/// A key that signs tokens.
pub(crate) struct SigningKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: EncodingKey,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
}

/// Reads the shared secret in a file.
pub(crate) fn shared_secret(path: &Path) -> Result<Vec<u8>, String> {
    shared(without_line_end(&read(path)?))
}

/// Returns the contents of a file without its last line end. All other bytes may be random.
fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn shared(secret: &[u8]) -> Result<Vec<u8>, String> {
    match secret.len() {
        _ if secret.starts_with(PEM) => {
            Err("the secret is a key in PEM format, and public keys are no secrets".to_owned())
        }
        MIN_SECRET_BYTES.. => Ok(secret.to_vec()),
        short => Err(format!(
            "the secret has {short} bytes, at least {MIN_SECRET_BYTES} are needed"
        )),
    }
}

fn public(alg: KeyAlgorithm, path: &Path) -> Result<(Algorithm, DecodingKey), String> {
    let pem = read(path)?;
    let text = String::from_utf8_lossy(&pem);
    let is_public = [
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN RSA PUBLIC KEY-----",
    ];
    let single = text.matches("-----BEGIN ").count() == 1;
    let (algorithm, name, key, bytes) = match alg {
        KeyAlgorithm::RS256 => {
            let key = DecodingKey::from_rsa_pem(&pem);
            (
                Algorithm::RS256,
                "RSA key of 2,048 to 8,192 bits",
                key,
                RSA_BYTES,
            )
        }
        KeyAlgorithm::ES256 => (
            Algorithm::ES256,
            "P-256 key",
            DecodingKey::from_ec_pem(&pem),
            P256_BYTES,
        ),
        KeyAlgorithm::EdDsa | KeyAlgorithm::HS256 => (
            Algorithm::EdDSA,
            "Ed25519 key",
            DecodingKey::from_ed_pem(&pem),
            ED25519_BYTES,
        ),
    };
    let fits = |key: &DecodingKey| {
        key.try_get_as_bytes()
            .is_ok_and(|key| bytes.contains(&key.len()))
    };
    match key {
        Ok(key) if single && is_public.iter().any(|label| text.contains(label)) && fits(&key) => {
            Ok((algorithm, key))
        }
        _ => Err(format!(
            "{} is not one public {name} in PEM format",
            path.display()
        )),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn is_cookie_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}
