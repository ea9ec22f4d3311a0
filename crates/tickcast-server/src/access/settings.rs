//! The table `[access]` of the configuration file.

use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::keys::{Key, Keys};

/// Minimum length of a shared secret, in bytes: that of its hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Maximum number of keys. Each key without a name is tried for each token.
const MAX_KEYS: usize = 16;

/// Who may read.
pub(crate) enum AccessSettings {
    /// Everyone.
    Open,
    /// Who has a token.
    Token { keys: Keys, cookie: Option<String> },
}

impl AccessSettings {
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
    #[serde(default)]
    key: Vec<KeyTable>,
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
            return match self.key.is_empty() && self.cookie.is_none() {
                true => Ok(AccessSettings::Open),
                false => Err(
                    "access: keys and a cookie have no effect while readers = \"open\"".to_owned(),
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
        let keys = self.key.iter().enumerate();
        let keys: Result<Vec<_>, _> = keys
            .map(|(i, key)| {
                key.read()
                    .map_err(|error| format!("access.key {}: {error}", i + 1))
            })
            .collect();
        Ok(AccessSettings::Token {
            keys: Keys::new(keys?),
            cookie: self.cookie.clone(),
        })
    }

    /// Describes the table in a line, without secrets.
    pub(crate) fn shown(&self) -> String {
        match self.readers {
            Readers::Open => "open".to_owned(),
            Readers::Token => format!("token ({})", crate::words::count(self.key.len(), "key")),
        }
    }
}

impl KeyTable {
    fn read(&self) -> Result<Key, String> {
        let given = (&self.secret, &self.secret_file, &self.public_key_file);
        let (algorithm, decoding) = match (self.alg, given) {
            (KeyAlgorithm::HS256, (Some(secret), None, None)) => {
                (Algorithm::HS256, shared(secret.as_bytes())?)
            }
            (KeyAlgorithm::HS256, (None, Some(path), None)) => {
                let secret = read(path)?;
                (Algorithm::HS256, shared(secret.trim_ascii_end())?)
            }
            (KeyAlgorithm::HS256, _) => {
                return Err("HS256 needs secret or secret_file, one of them".to_owned());
            }
            (alg, (None, None, Some(path))) => public(alg, path)?,
            _ => return Err("this algorithm needs public_key_file, and no secret".to_owned()),
        };
        let expected = (self.issuer.clone(), self.audience.clone());
        Ok(Key::new((algorithm, decoding), self.kid.clone(), expected))
    }
}

fn shared(secret: &[u8]) -> Result<DecodingKey, String> {
    match secret.len() {
        MIN_SECRET_BYTES.. => Ok(DecodingKey::from_secret(secret)),
        short => Err(format!(
            "the secret has {short} bytes, at least {MIN_SECRET_BYTES} are needed"
        )),
    }
}

fn public(alg: KeyAlgorithm, path: &Path) -> Result<(Algorithm, DecodingKey), String> {
    let pem = read(path)?;
    let (algorithm, name, key) = match alg {
        KeyAlgorithm::RS256 => (Algorithm::RS256, "RSA", DecodingKey::from_rsa_pem(&pem)),
        KeyAlgorithm::ES256 => (Algorithm::ES256, "P-256", DecodingKey::from_ec_pem(&pem)),
        KeyAlgorithm::EdDsa | KeyAlgorithm::HS256 => {
            (Algorithm::EdDSA, "Ed25519", DecodingKey::from_ed_pem(&pem))
        }
    };
    match key {
        Ok(key) => Ok((algorithm, key)),
        Err(_) => Err(format!(
            "{} is not a public {name} key in PEM format",
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
