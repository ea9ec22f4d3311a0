//! The kinds of clients, and what each may do.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::operations::{Ask, Kind};
use crate::tokens::{SECRET, claims, signed};

/// The symbol that every reader may read.
pub(super) const VISIBLE: &str = "VISIBLE";

/// The delay of delayed readers.
pub(super) const DELAY: Duration = Duration::from_secs(5);

/// The token of a publisher that may publish [`VISIBLE`].
pub(super) const DESK: &str = "desk-token-0123456789";

/// The names of readers and tokens are found wherever they leak.
const SUBJECT: &str = "subject-of-the-table";
const REVOKED_SUBJECT: &str = "revoked-of-the-table";
const TOKEN_ID: &str = "jti-of-the-table";
const REVOKED_TOKEN_ID: &str = "revoked-jti-of-the-table";

/// A kind of client.
pub(super) struct Asker {
    pub(super) name: &'static str,
    pub(super) token: Option<String>,
    pub(super) rights: Rights,
    places: &'static [Place],
}

/// What a client may do.
#[derive(Debug, PartialEq)]
pub(super) enum Rights {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// Publish [`VISIBLE`], and read nothing for this reason.
    Publisher(&'static str),
    /// Read [`VISIBLE`].
    Part,
    /// Read every price that is old enough.
    Delayed,
    /// Read everything.
    All,
}

/// Where a token is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Header,
    /// In a header over HTTP/2.
    Http2,
    Query,
    Cookie,
}

/// Returns the configuration of a server that knows the tokens.
pub(super) fn config() -> String {
    format!(
        "[access]\nreaders = \"token\"\ncookie = \"tickcast\"\ndelays = [{}]\n\
         revoked_tokens = [\"{REVOKED_TOKEN_ID}\"]\nrevoked_subjects = [\"{REVOKED_SUBJECT}\"]\n\
         [[access.key]]\nalg = \"HS256\"\nsecret = \"{SECRET}\"\n\
         [[access.publisher]]\nname = \"desk\"\ntoken = \"{DESK}\"\nsymbols = [\"{VISIBLE}\"]\n",
        DELAY.as_secs()
    )
}

/// Returns claims with names.
fn named(seconds: i64, (sub, jti): (&str, &str), permissions: &Value) -> Value {
    let mut claims = claims(seconds, permissions);
    claims["sub"] = sub.into();
    claims["jti"] = jti.into();
    claims
}

/// Returns all kinds of clients of the server with [`config`].
pub(super) fn askers() -> Vec<Asker> {
    use Rights::{All, Delayed, Nothing, Part, Publisher};
    const FORGED: &str = "another secret of thirty-two bytes!";
    let own = (SUBJECT, TOKEN_ID);
    let token = |permissions: Value| signed(SECRET, &named(600, own, &permissions));
    let mut nameless = named(600, own, &json!({}));
    nameless.as_object_mut().unwrap().remove("tickcast");
    let all = [
        ("none", None, Nothing("reading needs a login")),
        (
            "wrong key",
            Some(signed(FORGED, &named(600, own, &json!({})))),
            Nothing("is not signed with a key of this server"),
        ),
        (
            "expired",
            Some(signed(SECRET, &named(-31, own, &json!({})))),
            Nothing("the token has expired"),
        ),
        (
            "without permissions",
            Some(signed(SECRET, &nameless)),
            Nothing("has no valid claim `tickcast`"),
        ),
        (
            "unknown permission",
            Some(token(json!({"delays": 900}))),
            Nothing("unknown field `delays`"),
        ),
        (
            "revoked token",
            Some(signed(
                SECRET,
                &named(600, (SUBJECT, REVOKED_TOKEN_ID), &json!({})),
            )),
            Nothing("the login has been revoked"),
        ),
        (
            "revoked reader",
            Some(signed(
                SECRET,
                &named(600, (REVOKED_SUBJECT, TOKEN_ID), &json!({})),
            )),
            Nothing("the login has been revoked"),
        ),
        (
            "publisher",
            Some(DESK.to_owned()),
            Publisher("not a JSON Web Token"),
        ),
        (
            "other symbols",
            Some(token(json!({"symbols": [VISIBLE]}))),
            Part,
        ),
        (
            "other patterns",
            Some(token(json!({"symbols": ["V*", "S*Q"]}))),
            Part,
        ),
        ("everything", Some(token(json!({}))), All),
        // The last, because it changes the prices.
        ("delayed", Some(token(json!({"delay": 1}))), Delayed),
    ];
    let asker = |(name, token, rights)| Asker {
        name,
        places: match &token {
            None => &[Place::Header, Place::Http2],
            Some(_) => &[Place::Header, Place::Http2, Place::Query, Place::Cookie],
        },
        token,
        rights,
    };
    all.into_iter().map(asker).collect()
}

/// Returns clients of a server where everyone may read. It takes no notice of tokens.
pub(super) fn of_an_open_server() -> Vec<Asker> {
    let mut askers = askers();
    askers.retain(|asker| ["none", "wrong key", "revoked token"].contains(&asker.name));
    for asker in &mut askers {
        asker.rights = Rights::All;
        asker.places = &[Place::Header, Place::Http2];
    }
    askers
}

impl Asker {
    pub(super) fn reads_all(&self) -> bool {
        matches!(self.rights, Rights::All | Rights::Delayed)
    }

    /// Returns the places for a token in a request of this kind. Publishers send it in a header.
    pub(super) const fn places(&self, kind: Kind) -> &'static [Place] {
        match kind {
            Kind::Reading | Kind::Stream => self.places,
            Kind::Open | Kind::Publishing => &[Place::Header, Place::Http2],
        }
    }

    /// Returns a request to the server at `base` with the token in this place.
    pub(super) fn request(
        &self,
        (http, base): (&Client, &str),
        ask: &Ask,
        place: Place,
    ) -> RequestBuilder {
        let mut url = format!("{base}{}", ask.path);
        if let (Some(token), Place::Query) = (&self.token, place) {
            let separator = if url.contains('?') { '&' } else { '?' };
            url += &format!("{separator}access_token={token}");
        }
        let mut request = http.request(ask.method.clone(), url);
        request = match (&self.token, place) {
            (Some(token), Place::Header | Place::Http2) => request.bearer_auth(token),
            (Some(token), Place::Cookie) => request.header("cookie", format!("tickcast={token}")),
            _ => request,
        };
        match &ask.body {
            Some(body) => request.body(body.to_string()),
            None => request,
        }
    }

    /// Returns the texts that nobody may write down: the parts of the token that are not the same
    /// for every token, and the names in it.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let parts = self
            .token
            .iter()
            .flat_map(|token| match token.split_once('.') {
                Some((_, rest)) => rest.split('.'),
                None => token.split('.'),
            });
        let names = [SUBJECT, REVOKED_SUBJECT, TOKEN_ID];
        parts.chain(names)
    }
}
