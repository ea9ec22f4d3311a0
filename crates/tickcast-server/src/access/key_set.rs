//! The keys of an issuer, from its address (JWKS, RFC 7517).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::key::Key;

/// Time between two requests to the issuer while everything is well: a key that the issuer has
/// removed is valid for so long at most.
const REFRESH_INTERVAL: Duration = Duration::from_secs(900);

/// Minimum time between two requests because of tokens with an unknown key.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(60);

/// First and longest pause after a failed request. Each pause is twice as long as the one before.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Maximum time for a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer, in bytes, and maximum number of keys in it.
const MAX_BYTES: usize = 256 << 10;
const MAX_KEYS: usize = 100;

/// Range of the lengths of an RSA modulus in base64: 2,048 to 8,192 bits.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 342..=1_366;

/// The keys of an issuer. The last good ones count, also while the issuer cannot be reached.
pub(super) struct KeySet {
    url: Url,
    http: Client,
    algorithm: Algorithm,
    /// The issuer and the audience that tokens must have.
    expected: (Option<String>, Option<String>),
    keys: RwLock<Arc<[Key]>>,
    /// Number of sets that were loaded.
    version: AtomicU64,
    /// The time of the last request because of an unknown key. One request is made at a time.
    asked: Mutex<Option<Instant>>,
}

/// Reason why the keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    #[error("{0}")]
    Http(String),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the answer is not a JSON Web Key Set: {0}")]
    Invalid(String),
    #[error("the answer has {0} keys, the limit is {MAX_KEYS}")]
    TooMany(usize),
    #[error("the answer has no key of this algorithm")]
    NoKey,
}

#[derive(Deserialize)]
struct Answer {
    keys: Vec<Value>,
}

impl KeySet {
    /// Creates an empty set. `ca` is a file with authorities to trust, instead of those of the
    /// system.
    ///
    /// # Errors
    ///
    /// If the address is neither https nor of this machine, or if the file is not valid.
    pub(super) fn new(
        url: &str,
        ca: Option<&Path>,
        algorithm: Algorithm,
        expected: (Option<String>, Option<String>),
    ) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|error| format!("jwks_url: {error}"))?;
        let own = ["localhost", "127.0.0.1", "[::1]"];
        let is_own = url.host_str().is_some_and(|host| own.contains(&host));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_own) {
            return Err("jwks_url must begin with https://".to_owned());
        }
        let mut http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        if let Some(file) = ca {
            let refused =
                |error: &dyn std::fmt::Display| format!("jwks_ca: {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| refused(&error))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            http = http.tls_certs_only(authorities.map_err(|error| refused(&error))?);
        }
        Ok(Self {
            url,
            http: http.build().map_err(|error| error.to_string())?,
            algorithm,
            expected,
            keys: RwLock::new(Arc::new([])),
            version: AtomicU64::new(0),
            asked: Mutex::new(None),
        })
    }

    /// Returns the address.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.expected.0.as_deref()
    }

    /// Returns the current keys.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks whether a set was ever loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.version.load(SeqCst) > 0
    }

    /// Loads the keys again because of a token with an unknown key, unless they were asked for a
    /// moment ago. Returns whether they were loaded since the call. Many may wait for one request.
    pub(super) async fn refresh(&self) -> bool {
        let before = self.version.load(SeqCst);
        let mut asked = self.asked.lock().await;
        if self.version.load(SeqCst) > before {
            return true;
        }
        if asked.is_some_and(|asked| asked.elapsed() < UNKNOWN_KEY_INTERVAL) {
            return false;
        }
        *asked = Some(Instant::now());
        match self.load().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(url = %self.url, %error, "the keys of readers could not be loaded; the last ones count");
                false
            }
        }
    }

    /// Loads the keys again and again, and tells `report` why there are none, or `None` once there
    /// are some.
    pub(super) async fn keep_fresh(&self, report: impl Fn(Option<String>)) {
        let mut retry = FIRST_RETRY;
        loop {
            let turn = self.asked.lock().await;
            let loaded = self.load().await;
            drop(turn);
            let pause = match loaded {
                Ok(()) => {
                    report(None);
                    retry = FIRST_RETRY;
                    REFRESH_INTERVAL
                }
                Err(error) => {
                    tracing::warn!(url = %self.url, %error, "the keys of readers could not be loaded; the next attempt follows in {retry:?}");
                    if !self.is_loaded() {
                        report(Some(format!(
                            "no keys of readers from {}: {error}",
                            self.url
                        )));
                    }
                    let pause = retry;
                    retry = (retry * 2).min(MAX_RETRY);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn load(&self) -> Result<(), KeySetError> {
        let keys = self.parse(&self.fetch().await?)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        self.version.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn fetch(&self) -> Result<Vec<u8>, KeySetError> {
        let failed = |error: reqwest::Error| KeySetError::Http(whole(&error));
        let answer = self.http.get(self.url.clone()).send().await;
        let answer = answer.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(KeySetError::Http(format!(
                "the answer is {}",
                answer.status()
            )));
        }
        let (mut body, mut pieces) = (Vec::new(), answer.bytes_stream());
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            if body.len() + piece.len() > MAX_BYTES {
                return Err(KeySetError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Reads the keys of our algorithm. Other keys in the set are for others.
    fn parse(&self, body: &[u8]) -> Result<Vec<Key>, KeySetError> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| KeySetError::Invalid(error.to_string()))?;
        if answer.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(answer.keys.len()));
        }
        let known = answer
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = known.filter_map(|jwk: Jwk| self.key(&jwk)).collect();
        match keys.is_empty() {
            true => Err(KeySetError::NoKey),
            false => Ok(keys),
        }
    }

    /// Returns a key, if it is one of our algorithm that signs.
    fn key(&self, jwk: &Jwk) -> Option<Key> {
        let fits = match (&jwk.algorithm, self.algorithm) {
            (AlgorithmParameters::RSA(key), Algorithm::RS256) => RSA_MODULUS.contains(&key.n.len()),
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => {
                key.curve == EllipticCurve::P256
            }
            (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => {
                key.curve == EllipticCurve::Ed25519
            }
            _ => false,
        };
        let common = &jwk.common;
        let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let algorithm = common.key_algorithm.map(|own| own.to_string());
        let meant = algorithm.is_none_or(|own| own == format!("{:?}", self.algorithm));
        if !(fits && signs && meant) {
            return None;
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let kid = common.key_id.clone();
        Some(Key::new(
            (self.algorithm, decoding),
            kid,
            self.expected.clone(),
        ))
    }
}

/// Returns an error with its causes: reqwest's own text says only what was attempted.
fn whole(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A public key of P-256 (RFC 7515, A.3).
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn set() -> KeySet {
        KeySet::new(
            "https://issuer.example/jwks",
            None,
            Algorithm::ES256,
            (None, None),
        )
        .unwrap()
    }

    #[test]
    fn keys_that_sign_with_our_algorithm_are_read() {
        let ec = |more: Value| {
            let mut key = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
            key.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            key
        };
        let answer = |keys: &[Value]| set().parse(json!({ "keys": keys }).to_string().as_bytes());
        let rsa = json!({"kty": "RSA", "n": "A".repeat(342), "e": "AQAB"});
        let other = json!({"kty": "new", "secret": 1});
        let good = [
            ec(json!({"kid": "a", "use": "sig", "alg": "ES256"})),
            ec(json!({})),
        ];
        let mixed = [&good[..], &[rsa.clone(), other]].concat();
        assert_eq!(answer(&mixed).unwrap().len(), 2);
        for bad in [
            rsa,
            ec(json!({"use": "enc"})),
            ec(json!({"alg": "ES384"})),
            ec(json!({"crv": "P-384"})),
        ] {
            let error = answer(std::slice::from_ref(&bad)).err().unwrap();
            assert!(matches!(error, KeySetError::NoKey), "{bad}: {error}");
        }
        assert!(matches!(
            answer(&vec![json!({}); 101]),
            Err(KeySetError::TooMany(101))
        ));
        assert!(matches!(
            set().parse(b"<html>"),
            Err(KeySetError::Invalid(_))
        ));
    }

    #[test]
    fn an_address_has_to_be_private() {
        let refused = |url| KeySet::new(url, None, Algorithm::ES256, (None, None)).err();
        for bad in [
            "http://issuer.example/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                refused(bad).unwrap(),
                "jwks_url must begin with https://",
                "{bad}"
            );
        }
        assert!(refused("no address").unwrap().starts_with("jwks_url: "));
        assert!(refused("http://127.0.0.1:8000/keys").is_none());
    }
}
