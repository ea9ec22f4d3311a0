//! The token that a request presents: in a header, in a cookie or in the query.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri, header};

use super::origins::Origins;
use crate::fetch_site;

/// The parameter for clients that can set no header, such as `EventSource`.
pub(crate) const ACCESS_TOKEN: &str = "access_token";

/// Checks whether an address has a token in its query.
pub(crate) fn has_token(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == ACCESS_TOKEN)
}

/// Reason why it is not clear which token a request presents.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PresentedError {
    #[error("the request has two different tokens; send one")]
    Two,
}

/// Removes the token from the query and the header of a request and returns it, so that no log and
/// no error can show it. A cookie counts only if there is neither: a browser sends it unasked.
pub(super) fn take(
    request: &mut Request,
    cookie: Option<&str>,
    origins: &Origins,
) -> Result<Option<String>, PresentedError> {
    let in_query = from_query(request.uri_mut());
    let authority = request.uri().authority().map(ToString::to_string);
    let headers = request.headers_mut();
    let given = only(in_query.into_iter().chain(from_headers(headers)))?;
    headers.remove(header::AUTHORIZATION);
    match (given, cookie) {
        (None, Some(name)) if origins.include(headers) || is_own(headers, authority.as_deref()) => {
            only(from_cookies(headers, name))
        }
        (given, _) => Ok(given),
    }
}

/// Returns the one token of several that must be the same.
fn only(mut tokens: impl Iterator<Item = String>) -> Result<Option<String>, PresentedError> {
    let first = tokens.next();
    match tokens.any(|other| Some(&other) != first.as_ref()) {
        true => Err(PresentedError::Two),
        false => Ok(first),
    }
}

/// Removes the tokens from the query.
fn from_query(uri: &mut Uri) -> Vec<String> {
    let Some(query) = uri.query() else {
        return Vec::new();
    };
    let token = |pair: &&str| {
        let (name, token) = form_urlencoded::parse(pair.as_bytes()).next()?;
        (name == ACCESS_TOKEN).then(|| token.into_owned())
    };
    let pairs: Vec<_> = query.split('&').collect();
    let found: Vec<_> = pairs.iter().filter_map(token).collect();
    if found.is_empty() {
        return found;
    }
    let rest: Vec<_> = pairs
        .into_iter()
        .filter(|pair| token(pair).is_none())
        .collect();
    let path = match rest.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), rest.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // A part of a valid address is valid.
    *uri = Uri::from_parts(parts).unwrap_or_default();
    found
}

/// Returns the bearer tokens. Another scheme is not meant for us: a proxy may have asked for it.
fn from_headers(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    values.filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then(|| token.trim().to_owned())
    })
}

/// Returns the tokens of the cookies with this name. Other cookies may have any bytes.
fn from_cookies(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    let lists = headers.get_all(header::COOKIE).iter();
    let pairs = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let (own, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (own.trim() == name && !value.is_empty()).then(|| value.to_owned())
    })
}

/// Checks whether a page of the server's own origin sends the request, or no page at all. Browsers
/// send cookies along with requests of other origins.
fn is_own(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if fetch_site::is_foreign(headers) {
        return false;
    }
    // Over HTTP/2, the host is in the address of the request.
    let host = text("host").or(authority);
    match text("origin").map(|origin| origin.split_once("://")) {
        None => true,
        Some(origin) => origin.is_some_and(|(_, origin)| host == Some(origin)),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn take(request: &mut Request, cookie: Option<&str>) -> Result<Option<String>, PresentedError> {
        super::take(request, cookie, &Origins::default())
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn a_token_is_found_in_each_place_and_leaves_nothing_behind() {
        let mut query = request("/v1/stream?symbols=A%2CB&access_token=t1&rate=2", &[]);
        assert_eq!(take(&mut query, None), Ok(Some("t1".to_owned())));
        assert_eq!(query.uri(), "/v1/stream?symbols=A%2CB&rate=2");
        let mut alone = request("/v1/stream?access%5Ftoken=t1", &[]);
        assert_eq!(take(&mut alone, None), Ok(Some("t1".to_owned())));
        assert_eq!(alone.uri(), "/v1/stream");
        let mut header = request("/v1/stream", &[("authorization", "bearer t1")]);
        assert_eq!(take(&mut header, None), Ok(Some("t1".to_owned())));
        assert!(header.headers().is_empty());
        let mut none = request("/v1/stream?symbols=A", &[("cookie", "tickcast=t1")]);
        assert_eq!(take(&mut none, None), Ok(None));
        let mut cookie = request("/v1/stream", &[("cookie", "a=b; tickcast=t1")]);
        assert_eq!(
            take(&mut cookie, Some("tickcast")),
            Ok(Some("t1".to_owned()))
        );
    }

    #[test]
    fn two_tokens_must_be_the_same() {
        let header = [("authorization", "Bearer t1")];
        let mut same = request("/v1/stream?access_token=t1", &header);
        assert_eq!(take(&mut same, None), Ok(Some("t1".to_owned())));
        for uri in [
            "/v1/stream?access_token=t2",
            "/v1/stream?access_token=t1&access_token=",
        ] {
            assert_eq!(
                take(&mut request(uri, &header), None),
                Err(PresentedError::Two)
            );
        }
        let both = [("authorization", "Basic dXNlcjpwdw=="), ("cookie", "t=t1")];
        let mut basic = request("/v1/stream", &both);
        assert_eq!(take(&mut basic, Some("t")), Ok(Some("t1".to_owned())));
    }

    #[test]
    fn other_cookies_do_not_matter() {
        let cookie = |list: &[u8], header: Option<&str>| {
            let mut request = request("/v1/stream", &[]);
            let headers = request.headers_mut();
            headers.insert("cookie", axum::http::HeaderValue::from_bytes(list).unwrap());
            if let Some(token) = header {
                headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            take(&mut request, Some("t"))
        };
        assert_eq!(
            cookie(b"name=Zo\xeb; t=t1", None),
            Ok(Some("t1".to_owned()))
        );
        assert_eq!(cookie(b"t=", Some("t2")), Ok(Some("t2".to_owned())));
        assert_eq!(cookie(b"t=old", Some("t2")), Ok(Some("t2".to_owned())));
        assert_eq!(cookie(b"t=t1; t=t2", None), Err(PresentedError::Two));
        assert_eq!(cookie(b"T=t1", None), Ok(None));
    }

    #[test]
    fn a_cookie_counts_only_for_the_origin_of_the_server() {
        let from = |origin: &str| {
            let headers = [
                ("cookie", "t=t1"),
                ("origin", origin),
                ("host", "prices.example:80"),
            ];
            take(&mut request("/v1/stream", &headers), Some("t")).unwrap()
        };
        assert_eq!(from("https://prices.example:80"), Some("t1".to_owned()));
        for origin in [
            "https://evil.example",
            "null",
            "https://prices.example:80.evil",
            "",
        ] {
            assert_eq!(from(origin), None, "{origin}");
        }
        let site = |site: &str| {
            let headers = [("cookie", "t=t1"), ("sec-fetch-site", site)];
            take(&mut request("/v1/stream", &headers), Some("t")).unwrap()
        };
        assert!(site("same-origin").is_some() && site("none").is_some());
        assert_eq!([site("cross-site"), site("same-site")], [None, None]);
    }

    #[test]
    fn a_cookie_counts_for_the_origins_of_the_settings() {
        let origins = Origins::parse(&["https://app.example".to_owned()]).unwrap();
        let from = |headers: &[(&str, &str)]| {
            let all = [
                headers,
                &[("cookie", "t=t1"), ("sec-fetch-site", "cross-site")],
            ]
            .concat();
            super::take(&mut request("/v1/stream", &all), Some("t"), &origins).unwrap()
        };
        assert!(from(&[("origin", "https://app.example")]).is_some());
        let two = [
            ("origin", "https://app.example"),
            ("origin", "https://evil.example"),
        ];
        for other in [&[][..], &[("origin", "https://app.example.evil")], &two] {
            assert_eq!(from(other), None, "{other:?}");
        }
    }
}
