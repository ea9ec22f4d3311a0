//! An issuer of tokens: requests its keys from its address (JWKS, RFC 7517).

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::key::Key;

/// Maximum time for a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer, in bytes, and maximum number of keys in it.
const MAX_BYTES: usize = 256 << 10;
const MAX_KEYS: usize = 100;

/// Maximum number of characters of an error about the answer: it may repeat what the issuer has sent.
const MAX_SHOWN_CHARS: usize = 200;

/// Maximum number of keys without a name. A token without a name is compared with all of them.
const MAX_UNNAMED: usize = 16;

/// Range of the lengths of an RSA modulus in base64: 2,048 to 8,192 bits.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 342..=1_366;

/// An issuer, and what its tokens must have.
pub(super) struct Issuer {
    url: Url,
    http: Client,
    algorithm: Algorithm,
    /// The issuer and the audience in a token.
    expected: (Option<String>, Option<String>),
}

/// Reason why the keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error("{0}")]
    Http(String),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the answer is not a JSON Web Key Set: {0}")]
    Invalid(String),
    #[error("the answer has {0} keys, the limit is {MAX_KEYS}")]
    TooMany(usize),
    #[error("the answer has {0} keys without a name (`kid`), the limit is {MAX_UNNAMED}")]
    TooManyUnnamed(usize),
}

#[derive(Deserialize)]
struct Answer {
    keys: Vec<Value>,
}

impl Issuer {
    /// Creates an issuer. `ca` is a file with authorities to trust, instead of those of the system.
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
        if url.scheme() == "http" {
            // In plain text, the request must not leave this machine.
            http = http.no_proxy();
        }
        if let Some(file) = ca {
            let refused =
                |error: &dyn std::fmt::Display| format!("jwks_ca: {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| refused(&error))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            let authorities = authorities.map_err(|error| refused(&error))?;
            if authorities.is_empty() {
                return Err(refused(&"the file has no certificate in PEM format"));
            }
            http = http.tls_certs_only(authorities);
        }
        Ok(Self {
            url,
            http: http.build().map_err(|error| error.to_string())?,
            algorithm,
            expected,
        })
    }

    /// Returns the address without what may be secret: the password, and the query.
    pub(super) fn shown(&self) -> String {
        let mut shown = self.url.clone();
        // This fails only for an address without a host.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.set_fragment(None);
        shown.into()
    }

    /// Returns the algorithm of the keys.
    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Requests the keys of our algorithm. An issuer may have none.
    pub(super) async fn request_keys(&self) -> Result<Vec<Key>, IssuerError> {
        self.parse(&self.request().await?)
    }

    async fn request(&self) -> Result<Vec<u8>, IssuerError> {
        let failed = |error: reqwest::Error| IssuerError::Http(whole(error));
        let answer = self.http.get(self.url.clone()).send().await;
        let answer = answer.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(IssuerError::Http(format!(
                "the answer is {}",
                answer.status()
            )));
        }
        let (mut body, mut pieces) = (Vec::new(), answer.bytes_stream());
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            if body.len() + piece.len() > MAX_BYTES {
                return Err(IssuerError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Reads the keys of our algorithm. Other keys in the answer are for others.
    fn parse(&self, body: &[u8]) -> Result<Vec<Key>, IssuerError> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| IssuerError::Invalid(beginning(&error.to_string())))?;
        if answer.keys.len() > MAX_KEYS {
            return Err(IssuerError::TooMany(answer.keys.len()));
        }
        let known = answer
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = known.filter_map(|jwk: Jwk| self.key(&jwk)).collect();
        let unnamed = keys.iter().filter(|key| key.kid().is_none()).count();
        if unnamed > MAX_UNNAMED {
            return Err(IssuerError::TooManyUnnamed(unnamed));
        }
        Ok(keys)
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

/// Returns the beginning of a text that may repeat what an issuer has sent.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns an error with its causes: reqwest's own text says only what was attempted. The address
/// may contain a secret.
fn whole(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
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

    fn issuer(url: &str) -> Result<Issuer, String> {
        Issuer::new(url, None, Algorithm::ES256, (None, None))
    }

    fn parse(keys: &[Value]) -> Result<Vec<Key>, IssuerError> {
        let issuer = issuer("https://issuer.example/jwks").unwrap();
        issuer.parse(json!({ "keys": keys }).to_string().as_bytes())
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
        let rsa = json!({"kty": "RSA", "n": "A".repeat(342), "e": "AQAB"});
        let other = json!({"kty": "new", "secret": 1});
        let good = [
            ec(json!({"kid": "a", "use": "sig", "alg": "ES256"})),
            ec(json!({})),
        ];
        let mixed = [&good[..], &[rsa.clone(), other]].concat();
        assert_eq!(parse(&mixed).unwrap().len(), 2);
        for bad in [
            rsa,
            ec(json!({"use": "enc"})),
            ec(json!({"alg": "ES384"})),
            ec(json!({"crv": "P-384"})),
        ] {
            assert_eq!(parse(std::slice::from_ref(&bad)).unwrap().len(), 0, "{bad}");
        }
        let many = vec![json!({}); 101];
        assert!(matches!(parse(&many), Err(IssuerError::TooMany(101))));
        let unnamed = vec![ec(json!({})); 17];
        assert!(matches!(
            parse(&unnamed),
            Err(IssuerError::TooManyUnnamed(17))
        ));
        let page = issuer("https://issuer.example/").unwrap().parse(b"<html>");
        assert!(matches!(page, Err(IssuerError::Invalid(_))));
        let long = format!("{{\"keys\":\"{}\"}}", "ä".repeat(9_000));
        let long = issuer("https://issuer.example/")
            .unwrap()
            .parse(long.as_bytes());
        assert!(long.err().unwrap().to_string().len() < 3 * MAX_SHOWN_CHARS);
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = "https://issuer.example/";
        let made = Issuer::new(url, Some(file.path()), Algorithm::RS256, (None, None));
        let error = made.err().unwrap();
        assert!(
            error.ends_with("the file has no certificate in PEM format"),
            "{error}"
        );
    }

    #[test]
    fn an_address_has_to_be_private() {
        for bad in [
            "http://issuer.example/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                issuer(bad).err().unwrap(),
                "jwks_url must begin with https://",
                "{bad}"
            );
        }
        assert!(
            issuer("no address")
                .err()
                .unwrap()
                .starts_with("jwks_url: ")
        );
        assert!(issuer("http://127.0.0.1:8000/keys").is_ok());
    }

    #[test]
    fn a_secret_in_the_address_is_not_shown() {
        let issuer = issuer("https://user:password@issuer.example/keys?api_key=1#x").unwrap();
        assert_eq!(issuer.shown(), "https://issuer.example/keys");
    }
}
