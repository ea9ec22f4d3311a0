//! `tickcast token sign`: signs a token for a reader.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};
use tickcast::{Filter, Rate};

use super::args::{SignAlgorithm, SignArgs};
use crate::access::{SigningKey, shared_secret};
use crate::exit::CliError;
use crate::settings::access_table;

/// Signs a token and prints it.
pub(super) fn run(args: &SignArgs) -> Result<(), CliError> {
    let key = key(args).map_err(CliError::Usage)?;
    let claims = claims(args, &key).map_err(CliError::Usage)?;
    let header = Header {
        kid: args.kid.clone().or(key.kid),
        ..Header::new(key.algorithm)
    };
    let token = encode(&header, &claims, &key.encoding).context("the token cannot be signed")?;
    println!("{token}");
    Ok(())
}

/// Returns the key that the arguments select.
fn key(args: &SignArgs) -> Result<SigningKey, String> {
    if let Some(config) = &args.config {
        return access_table(config)
            .map_err(|error| error.to_string())?
            .signing_key(args.kid.as_deref());
    }
    let (algorithm, encoding) = match (&args.secret_file, &args.private_key_file, args.alg) {
        (Some(path), _, _) => {
            let secret = shared_secret(path).map_err(|error| at("--secret-file", &error))?;
            (Algorithm::HS256, EncodingKey::from_secret(&secret))
        }
        (None, Some(path), Some(alg)) => private(path, alg)?,
        _ => {
            let needed =
                "a key is needed: --config, --secret-file, or --private-key-file with --alg";
            return Err(needed.to_owned());
        }
    };
    Ok(SigningKey {
        kid: None,
        algorithm,
        encoding,
        issuer: None,
        audience: None,
    })
}

fn at(flag: &str, error: &dyn std::fmt::Display) -> String {
    format!("{flag}: {error}")
}

/// Reads a private key.
fn private(path: &Path, alg: SignAlgorithm) -> Result<(Algorithm, EncodingKey), String> {
    let flag = "--private-key-file";
    let pem =
        std::fs::read(path).map_err(|error| at(flag, &format!("{}: {error}", path.display())))?;
    let (algorithm, name, key) = match alg {
        SignAlgorithm::Rs256 => (Algorithm::RS256, "RSA", EncodingKey::from_rsa_pem(&pem)),
        SignAlgorithm::Es256 => (Algorithm::ES256, "P-256", EncodingKey::from_ec_pem(&pem)),
        SignAlgorithm::EdDsa => (Algorithm::EdDSA, "Ed25519", EncodingKey::from_ed_pem(&pem)),
    };
    let key = key.map_err(|_| {
        let problem = format!(
            "{} is not a private {name} key in PEM format (PKCS#8)",
            path.display()
        );
        at(flag, &problem)
    })?;
    Ok((algorithm, key))
}

/// Returns the claims of the token. What the server would refuse is refused here.
fn claims(args: &SignArgs, key: &SigningKey) -> Result<Value, String> {
    let mut permissions = Map::new();
    if let Some(symbols) = &args.symbols {
        Filter::parse(symbols.iter().map(String::as_str))
            .map_err(|error| at("--symbols", &error))?;
        permissions.insert("symbols".to_owned(), json!(symbols));
    }
    if let Some(rate) = args.rate {
        Rate::per_second(rate).map_err(|error| at("--rate", &error))?;
        permissions.insert("rate".to_owned(), json!(rate));
    }
    if let Some(delay) = args.delay {
        let seconds = u32::try_from(delay.0.as_secs()).unwrap_or(u32::MAX);
        // A part of a second is a second more.
        let seconds = seconds.saturating_add(u32::from(delay.0.subsec_nanos() > 0));
        permissions.insert("delay".to_owned(), json!(seconds));
    }
    if let Some(streams) = args.streams {
        permissions.insert("streams".to_owned(), json!(streams));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut claims = json!({
        "iat": now.as_secs(),
        "exp": now.saturating_add(args.expires.0).as_secs(),
        "tickcast": permissions,
    });
    for (claim, value) in [
        ("jti", &args.jti),
        ("sub", &args.subject),
        ("iss", &args.issuer.clone().or_else(|| key.issuer.clone())),
        (
            "aud",
            &args.audience.clone().or_else(|| key.audience.clone()),
        ),
    ] {
        if let Some(value) = value {
            claims[claim] = json!(value);
        }
    }
    Ok(claims)
}
