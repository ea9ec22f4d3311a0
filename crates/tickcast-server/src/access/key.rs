//! A key that tokens of readers are signed with.

use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tickcast::access::Viewer;
use tickcast::{Filter, Rate, Time};

/// Maximum size of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// Maximum size of the header of a token, in bytes. It is read before the signature is checked.
const MAX_HEADER_BYTES: usize = 2 << 10;

/// How far the clock of the issuer of a token may be from ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// A key of the configuration.
pub(crate) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
    issuer: Option<String>,
}

/// Reason why a token is refused. It does not tell more than its sender knows or needs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token has {0} bytes, the limit is {MAX_TOKEN_BYTES}")]
    TooLong(usize),
    #[error("the token is not a JSON Web Token that this server can read")]
    Malformed,
    #[error("the token demands header parameters (`crit`) that this server does not know")]
    Critical,
    #[error("the token is not signed with a key of this server")]
    Unknown(KeyName),
    #[error("this server does not know the key of the token yet; try again later")]
    NotLoaded(KeyName),
    #[error("the token has no valid claim `{0}`")]
    Missing(String),
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("claim `{claim}`: {problem}")]
    Claim {
        claim: &'static str,
        problem: String,
    },
}

/// What a token says of the key that it is signed with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyName {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

/// The claims of a token.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    sub: Option<String>,
    jti: Option<String>,
    tickcast: Option<Box<RawValue>>,
}

/// The permissions in a token. A name that we do not know may be a limit, so it is refused, and so
/// are `null` and a name that occurs twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    #[serde(default, deserialize_with = "given")]
    symbols: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    rate: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    streams: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    delay: Option<u32>,
}

/// Reads a value that may be left out, but not `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Key {
    pub(super) fn new(
        (algorithm, decoding): (Algorithm, DecodingKey),
        kid: Option<String>,
        (issuer, audience): (Option<String>, Option<String>),
    ) -> Self {
        // The key decides the algorithm, never the header of a token.
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp"];
        required.extend(issuer.as_ref().map(|_| "iss"));
        required.extend(audience.as_ref().map(|_| "aud"));
        validation.set_required_spec_claims(&required);
        // The times are compared with our own clock, which no jump moves forward.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = audience.is_some();
        validation.iss = issuer.clone().map(|issuer| [issuer].into());
        validation.aud = audience.map(|audience| [audience].into());
        Self {
            kid,
            algorithm,
            decoding,
            validation,
            issuer,
        }
    }

    /// Returns the name of the key. If it has one, only tokens that name it are signed with it.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns what the reader of a token of this key may read.
    fn viewer(&self, claims: Claims, now: Time, wall: Time) -> Result<Viewer, TokenError> {
        let Claims {
            exp,
            nbf,
            sub,
            jti,
            tickcast,
        } = claims;
        let exp = exp.ok_or_else(|| TokenError::Missing("exp".to_owned()))?;
        let exp = time("exp", exp)?;
        let last = exp.saturating_add(LEEWAY);
        if last <= now {
            return Err(TokenError::Expired);
        }
        if let Some(nbf) = nbf
            && time("nbf", nbf)? > wall.saturating_add(LEEWAY)
        {
            return Err(TokenError::NotYet);
        }
        let claim = |problem: &dyn std::fmt::Display| TokenError::Claim {
            claim: "tickcast",
            problem: problem.to_string(),
        };
        let permissions = tickcast.ok_or_else(|| TokenError::Missing("tickcast".to_owned()))?;
        let Permissions {
            symbols,
            rate,
            streams,
            delay,
        } = match permissions.get().starts_with('{') {
            true => serde_json::from_str(permissions.get()).map_err(|error| claim(&error))?,
            false => return Err(claim(&"expected an object")),
        };
        let symbols = match symbols {
            None => Filter::all(),
            Some(list) if list.is_empty() => Filter::none(),
            Some(list) => Filter::parse(list.iter().map(String::as_str))
                .map_err(|error| claim(&format!("symbols: {error}")))?,
        };
        // A token that is used within the leeway after its end may be used until the leeway ends.
        let expires = if exp > now { exp } else { last };
        let mut viewer = Viewer::of(symbols).expires(expires);
        if let Some(sub) = &sub {
            // Two issuers may name two readers alike.
            viewer = viewer.subject(subject(self.issuer.as_deref(), sub));
        }
        if let Some(jti) = jti {
            viewer = viewer.token_id(jti);
        }
        if let Some(rate) = rate {
            let rate = Rate::per_second(rate).map_err(|error| claim(&format!("rate: {error}")))?;
            viewer = viewer.max_rate(rate);
        }
        if let Some(delay) = delay {
            viewer = viewer.delay(Duration::from_secs(delay.into()));
        }
        if let Some(streams) = streams {
            if sub.is_none() {
                return Err(TokenError::Missing("sub".to_owned()));
            }
            viewer = viewer.max_streams(streams);
        }
        Ok(viewer)
    }
}

/// Checks a token, and returns what its reader may read. `now` is the time that ends tokens, `wall` the
/// time that begins them.
pub(super) fn verify<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    token: &str,
    (now, wall): (Time, Time),
) -> Result<Viewer, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong(token.len()));
    }
    if token
        .split('.')
        .next()
        .is_some_and(|header| header.len() > MAX_HEADER_BYTES)
    {
        return Err(TokenError::Malformed);
    }
    let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let mut refusal = None;
    for key in keys {
        // A key with a name is meant only by its name.
        let is_meant = key.kid.is_none() || key.kid == header.kid;
        if key.algorithm != header.alg || !is_meant {
            continue;
        }
        match decode::<Claims>(token, &key.decoding, &key.validation) {
            Ok(data) => return key.viewer(data.claims, now, wall),
            Err(error) => {
                // What another key says about the signature is no news.
                refusal = refused(error.into_kind()).or(refusal);
            }
        }
    }
    let (algorithm, kid) = (header.alg, header.kid);
    Err(refusal.unwrap_or(TokenError::Unknown(KeyName { algorithm, kid })))
}

/// The times in a token whose signature has not been checked. They can only be a reason to refuse
/// the token.
#[derive(Default, Deserialize)]
pub(super) struct UnverifiedTimes {
    exp: Option<f64>,
    iat: Option<f64>,
}

impl UnverifiedTimes {
    /// Reads the times of a token.
    pub(super) fn of(token: &str) -> Self {
        insecure_decode(token).map_or_else(|_| Self::default(), |data| data.claims)
    }

    /// Checks whether the token has expired, whichever key has signed it.
    pub(super) fn have_passed(&self, now: Time) -> bool {
        let exp = self.exp.and_then(|exp| time("exp", exp).ok());
        exp.is_some_and(|exp| exp.saturating_add(LEEWAY) <= now)
    }

    /// Checks whether the token was issued before a time of the wall clock.
    pub(super) fn are_before(&self, wall: Time) -> bool {
        let iat = self.iat.and_then(|iat| time("iat", iat).ok());
        iat.is_some_and(|iat| iat.saturating_add(LEEWAY) < wall)
    }
}

/// Returns the name of a reader. An issuer has no space in its name.
pub(super) fn subject(issuer: Option<&str>, sub: &str) -> String {
    format!("{} {sub}", issuer.unwrap_or_default())
}

/// Returns the issuer and the `sub` in the name of a reader.
pub(crate) fn issuer_and_sub(subject: &str) -> (Option<&str>, &str) {
    let (issuer, sub) = subject.split_once(' ').unwrap_or(("", subject));
    (Some(issuer).filter(|issuer| !issuer.is_empty()), sub)
}

/// Returns why a token with a valid signature is refused, or `None` if its signature is not valid.
fn refused(kind: ErrorKind) -> Option<TokenError> {
    match kind {
        ErrorKind::MissingRequiredClaim(claim) => Some(TokenError::Missing(claim)),
        ErrorKind::InvalidIssuer => Some(TokenError::Issuer),
        ErrorKind::InvalidAudience => Some(TokenError::Audience),
        ErrorKind::Json(error) => Some(TokenError::Claim {
            claim: "exp, nbf, sub, jti",
            problem: error.to_string(),
        }),
        _ => None,
    }
}

/// Returns the time of a claim, which is in seconds since 1970.
fn time(claim: &'static str, seconds: f64) -> Result<Time, TokenError> {
    if !seconds.is_finite() || seconds < 0.0 {
        let problem = "expected seconds since 1970".to_owned();
        return Err(TokenError::Claim { claim, problem });
    }
    let from = Time::from_millis(0).unwrap_or_default();
    // A time that is too far away never comes.
    Ok(Duration::try_from_secs_f64(seconds).map_or(Time::MAX, |since| from.saturating_add(since)))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn now() -> Time {
        Time::from_millis(1_000_000_000).unwrap()
    }

    fn key(secret: &[u8], kid: Option<&str>) -> Key {
        let decoding = (Algorithm::HS256, DecodingKey::from_secret(secret));
        Key::new(decoding, kid.map(str::to_owned), (None, None))
    }

    fn signed(header: &Header, claims: &Value) -> String {
        encode(header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn token(claims: &Value) -> String {
        signed(&Header::new(Algorithm::HS256), claims)
    }

    fn unknown(algorithm: Algorithm, kid: Option<&str>) -> TokenError {
        let kid = kid.map(str::to_owned);
        TokenError::Unknown(KeyName { algorithm, kid })
    }

    fn accept(claims: &Value) -> Result<Viewer, TokenError> {
        verify(&[key(SECRET, None)], &token(claims), (now(), now()))
    }

    #[test]
    fn a_token_says_what_its_reader_may_read() {
        let viewer = accept(&json!({
            "exp": 1_000_060, "sub": "ada", "iat": 5,
            "tickcast": {"symbols": ["AAPL", "BTC*"], "rate": 2, "streams": 3, "delay": 900},
        }));
        let expected = Viewer::of(Filter::parse(["AAPL", "BTC*"]).unwrap())
            .subject(" ada")
            .expires(Time::from_millis(1_000_060_000).unwrap())
            .max_rate(Rate::per_second(2.0).unwrap())
            .max_streams(3)
            .delay(Duration::from_secs(900));
        assert_eq!(viewer, Ok(expected));
        let nothing = accept(&json!({"exp": 1_000_060, "tickcast": {"symbols": []}}));
        assert_eq!(nothing.unwrap().symbols(), Some(&Filter::none()));
    }

    #[test]
    fn times_count_before_the_signature_only_against_a_token() {
        let times = |claims: Value| UnverifiedTimes::of(&token(&claims));
        let at = |seconds: i64| Time::from_millis(seconds * 1000).unwrap();
        let both = times(json!({"exp": 1000, "iat": 500}));
        assert!(!both.have_passed(at(1029)) && both.have_passed(at(1030)));
        assert!(!both.are_before(at(530)) && both.are_before(at(531)));
        for none in [
            json!({}),
            json!({"exp": "x"}),
            json!({"exp": -1, "iat": -1}),
            json!([]),
        ] {
            let none = times(none);
            assert!(!none.have_passed(Time::MAX) && !none.are_before(Time::MAX));
        }
    }

    #[test]
    fn the_name_of_a_reader_has_two_parts() {
        for (issuer, sub) in [(Some("https://a.example"), "b c"), (None, " x"), (None, "")] {
            assert_eq!(issuer_and_sub(&subject(issuer, sub)), (issuer, sub));
        }
    }

    #[test]
    fn each_breach_is_named() {
        let ok = json!({"exp": 1_000_060, "tickcast": {}});
        let with = |claim: &str, value: Value| {
            let mut claims = ok.clone();
            claims[claim] = value;
            accept(&claims).unwrap_err().to_string()
        };
        assert!(accept(&ok).is_ok());
        let without = accept(&json!({"exp": 1_000_060})).unwrap_err();
        assert_eq!(without, TokenError::Missing("tickcast".to_owned()));
        let endless = accept(&json!({"tickcast": {}})).unwrap_err();
        assert_eq!(endless.to_string(), "the token has no valid claim `exp`");
        let twice = r#"{"exp":1000060,"tickcast":{"symbols":["A"],"symbols":["*"]}}"#;
        let twice: Box<RawValue> = serde_json::from_str(twice).unwrap();
        let header = Header::new(Algorithm::HS256);
        let twice = encode(&header, &twice, &EncodingKey::from_secret(SECRET)).unwrap();
        let refused = verify(&[key(SECRET, None)], &twice, (now(), now()));
        assert!(refused.unwrap_err().to_string().contains("duplicate field"));
        let nobody = with("tickcast", json!({"streams": 1}));
        assert_eq!(nobody, "the token has no valid claim `sub`");
        assert_eq!(with("exp", json!(999_969)), "the token has expired");
        assert_eq!(with("nbf", json!(1_000_031)), "the token is not valid yet");
        for (claims, named) in [
            (json!({"symbol": ["A"]}), "unknown field `symbol`"),
            (json!({"delays": 900}), "unknown field `delays`"),
            (json!({"delay": -1}), "invalid value"),
            (json!({"symbols": null}), "invalid type: null"),
            (json!({"rate": null}), "invalid type: null"),
            (json!([["A"], 1, 1]), "expected an object"),
            (json!({"symbols": ["A B"]}), "symbols: entry 1"),
            (json!({"rate": 1000}), "rate: 1000"),
            (json!({"streams": -1}), "invalid value"),
            (json!("all"), "expected an object"),
        ] {
            let said = with("tickcast", claims);
            assert!(
                said.starts_with("claim `tickcast`: ") && said.contains(named),
                "{said}"
            );
        }
        assert!(
            with("exp", json!("soon")).contains("claim `exp"),
            "{}",
            with("exp", json!("soon"))
        );
        assert_eq!(with("exp", json!(-1)), "the token has no valid claim `exp`");
    }

    #[test]
    fn the_key_decides_the_algorithm() {
        let claims = json!({"exp": 1_000_060, "tickcast": {}});
        let keys = [key(SECRET, None)];
        let refused = |token: &str| verify(&keys, token, (now(), now())).unwrap_err();
        assert_eq!(
            refused(&signed(&Header::new(Algorithm::HS512), &claims)),
            unknown(Algorithm::HS512, None)
        );
        let (_, unsigned) = token(&claims)
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        // {"alg":"none"}
        assert_eq!(
            refused(&format!("eyJhbGciOiJub25lIn0.{unsigned}")),
            TokenError::Malformed
        );
        assert_eq!(refused("x"), TokenError::Malformed);
        assert_eq!(refused(&"x".repeat(9000)), TokenError::TooLong(9000));
        let mut altered = token(&claims);
        altered.pop();
        assert_eq!(refused(&altered), unknown(Algorithm::HS256, None));
        let crit = Header {
            crit: Some(vec!["exp".to_owned()]),
            ..Header::new(Algorithm::HS256)
        };
        assert_eq!(refused(&signed(&crit, &claims)), TokenError::Critical);
    }

    #[test]
    fn a_key_with_a_name_is_meant_by_its_name() {
        let claims = json!({"exp": 1_000_060, "tickcast": {}});
        let keys = [
            key(b"another secret of thirty-two bytes", Some("old")),
            key(SECRET, Some("new")),
        ];
        let named = |kid: Option<&str>| {
            let header = Header {
                kid: kid.map(str::to_owned),
                ..Header::new(Algorithm::HS256)
            };
            verify(&keys, &signed(&header, &claims), (now(), now())).map(|_| ())
        };
        assert_eq!(named(Some("new")), Ok(()));
        for other in [Some("old"), Some("other"), None] {
            assert_eq!(named(other), Err(unknown(Algorithm::HS256, other)));
        }
    }

    #[test]
    fn issuer_and_audience_are_required_if_the_key_has_them() {
        let decoding = (Algorithm::HS256, DecodingKey::from_secret(SECRET));
        let own = (
            Some("https://login.example".to_owned()),
            Some("prices".to_owned()),
        );
        let keys = [Key::new(decoding, None, own)];
        let of = |iss: Value, aud: Value| {
            let claims = json!({"exp": 1_000_060, "tickcast": {}, "iss": iss, "aud": aud});
            verify(&keys, &token(&claims), (now(), now())).map(|_| ())
        };
        let (iss, aud) = (json!("https://login.example"), json!("prices"));
        assert_eq!(of(iss.clone(), aud.clone()), Ok(()));
        assert_eq!(of(iss.clone(), json!(["x", "prices"])), Ok(()));
        assert_eq!(
            of(json!("https://evil.example"), aud.clone()),
            Err(TokenError::Issuer)
        );
        assert_eq!(of(iss, json!("other")), Err(TokenError::Audience));
        assert!(of(json!(null), aud).is_err());
    }
}
