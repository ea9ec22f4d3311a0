//! Requests with an ambiguous end. Two servers might disagree on the end, so the following bytes
//! could be smuggled past one of the servers (request smuggling).

use httparse::Header;

/// The error text for all other transfer codings.
pub(super) const CHUNKED_ONLY: &str = "transfer-encoding: expected chunked, at most once";

/// Returns the reason to refuse the request, if there is one. A request is refused if its length is
/// given twice or unclearly, or if the request names two hosts. Invalid HTTP never reaches this
/// function: white space before a colon, folded lines and bare carriage returns.
pub(super) fn ambiguity(headers: &[Header<'_>]) -> Option<&'static str> {
    let all = |name: &'static str| {
        headers
            .iter()
            .filter(move |given| given.name.eq_ignore_ascii_case(name))
    };
    let (lengths, codings) = (
        all("content-length").count(),
        all("transfer-encoding").count(),
    );
    if lengths > 0 && codings > 0 {
        return Some("content-length and transfer-encoding cannot be combined");
    }
    if lengths > 1 || codings > 1 {
        return Some("the length of the body is given more than once");
    }
    if all("content-length")
        .any(|given| given.value.is_empty() || !given.value.iter().all(u8::is_ascii_digit))
    {
        return Some("content-length is not a number");
    }
    if all("transfer-encoding").any(|given| !given.value.eq_ignore_ascii_case(b"chunked")) {
        return Some(CHUNKED_ONLY);
    }
    (all("host").count() > 1).then_some("the request has more than one host")
}
