//! The origins whose pages may read with their visitors' logins.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// Maximum number of origins. Each request of a page is compared with all of them.
const MAX_ORIGINS: usize = 64;

/// The origins of other pages that may read, with cookies. Empty: every page may read, without
/// cookies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Reads a list of origins, such as `https://app.example`.
    pub(super) fn parse(list: &[String]) -> Result<Self, String> {
        if list.len() > MAX_ORIGINS {
            let count = list.len();
            return Err(format!(
                "{count} origins are given, the limit is {MAX_ORIGINS}"
            ));
        }
        let origins = list.iter().map(|text| {
            parse(text).ok_or_else(|| {
                format!(
                    "{text:?} is not an origin, such as https://app.example, as browsers send it"
                )
            })
        });
        origins.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn list(&self) -> &[HeaderValue] {
        &self.0
    }

    /// Checks whether a page of one of the origins sends the request.
    pub(super) fn include(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::ORIGIN).iter();
        match (given.next(), given.next()) {
            (Some(origin), None) => self.0.contains(origin),
            _ => false,
        }
    }
}

/// Returns an origin as browsers send it: a scheme, a host in lower case, and a port unless it is
/// the usual one.
fn parse(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let usual = match (scheme, authority.port_u16()) {
        ("https", Some(443)) | ("http", Some(80)) => true,
        ("http" | "https", _) => false,
        _ => return None,
    };
    let same = format!("{scheme}://{authority}").to_lowercase() == text;
    let valid = same && !usual && !authority.as_str().contains('@');
    valid.then(|| HeaderValue::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        let parse = |text: &str| Origins::parse(&[text.to_owned()]).is_ok();
        for good in [
            "https://app.example",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(parse(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "https://u@app.example",
            "ftp://app.example",
            "https://*.example/x",
        ] {
            assert!(!parse(bad), "{bad}");
        }
    }
}
