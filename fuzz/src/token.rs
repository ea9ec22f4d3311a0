//! Tokens of readers: their signatures and claims, and where a request presents them.

// The server is a program, not a library, so its files are compiled here a second time.
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../crates/tickcast-server/src/access/key.rs"]
mod key;
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../crates/tickcast-server/src/access/origins.rs"]
mod origins;
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../crates/tickcast-server/src/access/presented.rs"]
mod presented;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde_json::Value;
use tickcast::{Filter, Symbol, Time};

use key::Key;
use origins::Origins;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The time of all checks, in seconds since 1970.
const NOW: i64 = 1_000_000;

/// Checks tokens. The lowest two bits of the first byte say what the others are: a token, the
/// header and the claims of a token that is signed here (one per line), or the address and the
/// headers of a request. A token permits what its claims say. A request keeps no token.
pub fn token(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    match first & 3 {
        0 => check_unsigned(rest),
        1 | 2 => check_signed(rest),
        _ => check_presented(rest),
    }
}

/// Checks that a token that nobody signed is refused.
fn check_unsigned(data: &[u8]) {
    if let Ok(token) = std::str::from_utf8(data) {
        assert!(verify(token).is_err(), "{token}");
    }
}

fn verify(token: &str) -> Result<tickcast::access::Viewer, key::TokenError> {
    let decoding = (Algorithm::HS256, DecodingKey::from_secret(SECRET));
    let key = Key::new(decoding, None, (None, None));
    let now = Time::from_millis(NOW * 1000).unwrap_or_default();
    key::verify([&key], token, (now, now))
}

/// Checks a signed token with any header and any claims. An accepted token permits what its claims
/// say, and a change of any character makes it invalid.
fn check_signed(data: &[u8]) {
    let (header, claims) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&br#"{"alg":"HS256"}"#[..], data),
    };
    let message = format!("{}.{}", base64(header), base64(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    let token = format!("{message}.{}", signature.expect("a secret signs anything"));
    let Ok(viewer) = verify(&token) else { return };
    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!(
        (&header["alg"], &header["crit"]),
        (&"HS256".into(), &Value::Null)
    );
    let claims: Value = serde_json::from_slice(claims).expect("accepted claims are JSON");
    let seconds = |claim: &str| claims[claim].as_f64();
    let (now, leeway) = (NOW as f64, 30.0);
    assert!(
        seconds("exp").is_some_and(|exp| exp + leeway > now),
        "{claims}"
    );
    assert!(
        seconds("nbf").is_none_or(|nbf| nbf < now + leeway + 0.001),
        "{claims}"
    );
    let permissions = claims["tickcast"]
        .as_object()
        .expect("the permissions are an object");
    let known = ["symbols", "rate", "streams", "delay"];
    assert!(
        permissions
            .iter()
            .all(|(name, value)| known.contains(&name.as_str()) && !value.is_null())
    );
    check_symbols(permissions.get("symbols"), viewer.symbols());
    let text = |claim: &str| claims[claim].as_str();
    let subject = text("sub").map_or(String::new(), |sub| format!(" {sub}"));
    assert_eq!(viewer.subject_name(), subject);
    assert_eq!(viewer.token_name(), text("jti").unwrap_or_default());
    let at = data.len() % token.len();
    let mut altered = token.into_bytes();
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).expect("a token is ASCII");
    assert!(verify(&altered).is_err(), "{altered}");
}

/// Checks that a reader may read the symbols of the claim. `None` are all symbols.
fn check_symbols(claim: Option<&Value>, permitted: Option<&Filter>) {
    let list = claim.map(|list| list.as_array().expect("symbols are a list"));
    let entries = list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    for name in ["AAPL", "BTC-USD", "A", "z"] {
        let Ok(symbol) = Symbol::new(name) else {
            continue;
        };
        let expected = entries.as_ref().is_none_or(|entries| {
            Filter::parse(entries.iter().copied()).is_ok_and(|filter| filter.matches(&symbol))
        });
        assert_eq!(
            permitted.is_none_or(|filter| filter.matches(&symbol)),
            expected
        );
    }
}

/// Checks where a request presents a token. The first line is an address, and each other line a
/// header. Afterwards, the request has no token in its address and no `Authorization`, and
/// everything else is unchanged.
fn check_presented(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(mut request) = Request::get(lines.next().unwrap_or_default()).body(Body::empty()) else {
        return;
    };
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            request.headers_mut().append(name, value);
        }
    }
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let parameters = |query: Option<&str>| {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        pairs.into_owned().collect::<Vec<_>>()
    };
    let before = parameters(uri.query());
    let had_token = presented::has_token(&uri);
    let taken = presented::take(&mut request, Some("t"), &Origins::default());
    assert!(!presented::has_token(request.uri()), "{}", request.uri());
    let mut rest = before.clone();
    rest.retain(|(name, _)| name != "access_token");
    let left: Vec<_> = parameters(request.uri().query());
    assert_eq!(left, rest, "{uri} became {}", request.uri());
    assert_eq!(request.uri().path(), uri.path());
    let Ok(taken) = taken else { return };
    assert!(!request.headers().contains_key(header::AUTHORIZATION));
    let others = headers.len() - headers.get_all(header::AUTHORIZATION).iter().count();
    assert_eq!(request.headers().len(), others);
    if had_token {
        let mut given = before
            .into_iter()
            .filter(|(name, _)| name == "access_token");
        assert!(
            given.all(|(_, value)| Some(value) == taken),
            "one token is taken"
        );
    }
}

/// Writes bytes as the parts of a token are written.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0))
        });
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        text.extend(&digits[..=chunk.len()]);
    }
    text
}
