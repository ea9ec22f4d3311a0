//! The token that a request presents: in a header, in a cookie or in the query.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri, header};

/// The parameter for clients that can set no header, such as `EventSource`.
const PARAMETER: &str = "access_token";

/// Reason why it is not clear which token a request presents.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PresentedError {
    #[error("the request has two different tokens; send one")]
    Two,
    #[error("`Authorization` is not `Bearer` and a token")]
    Header,
}

/// Removes the token from a request and returns it. It stays in no place where a log or an error
/// could show it.
pub(super) fn take(
    request: &mut Request,
    cookie: Option<&str>,
) -> Result<Option<String>, PresentedError> {
    let in_query = from_query(request.uri_mut());
    let headers = request.headers_mut();
    let in_header = from_header(headers)?;
    let in_cookie = cookie.and_then(|name| from_cookie(headers, name));
    headers.remove(header::AUTHORIZATION);
    let mut found = in_query.into_iter().chain(in_header).chain(in_cookie);
    let first = found.next();
    match found.any(|other| Some(&other) != first.as_ref()) {
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
        (name == PARAMETER).then(|| token.into_owned())
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

fn from_header(headers: &HeaderMap) -> Result<Option<String>, PresentedError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(PresentedError::Two);
    }
    let value = value.to_str().map_err(|_| PresentedError::Header)?;
    let (scheme, token) = value.split_once(' ').ok_or(PresentedError::Header)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(PresentedError::Header);
    }
    Ok(Some(token.trim().to_owned()))
}

/// Returns the token of a cookie. Browsers send cookies along with requests of other origins, so
/// the cookie counts only for requests of our own.
fn from_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    if !is_same_origin(headers) {
        return None;
    }
    let lists = headers.get_all(header::COOKIE).iter();
    let mut pairs = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(';'));
    pairs.find_map(|pair| {
        let (own, value) = pair.split_once('=')?;
        (own.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Checks whether a request has no `Origin`, or the origin of the server itself.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| host == Some(origin))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

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
        let mut basic = request("/v1/stream", &[("authorization", "Basic dXNlcjpwdw==")]);
        assert_eq!(take(&mut basic, None), Err(PresentedError::Header));
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
    }
}
