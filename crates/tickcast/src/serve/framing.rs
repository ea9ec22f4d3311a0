//! Requests of which two servers might disagree where they end: what follows could be smuggled past one of them.

use httparse::Header;

/// Said of every other transfer coding.
pub(super) const CHUNKED_ONLY: &str = "transfer-encoding can only be chunked, once";

/// Why the request is refused, if it is: its length is said twice or not clearly, or it names two hosts. What is no HTTP at
/// all (white space before a colon, folded lines, bare carriage returns) does not get here.
pub(super) fn ambiguity(headers: &[Header<'_>]) -> Option<&'static str> {
    let all = |name: &'static str| headers.iter().filter(move |given| given.name.eq_ignore_ascii_case(name));
    let (lengths, codings) = (all("content-length").count(), all("transfer-encoding").count());
    if lengths > 0 && codings > 0 {
        return Some("content-length and transfer-encoding do not go together");
    }
    if lengths > 1 || codings > 1 {
        return Some("the length of the body is said more than once");
    }
    if all("content-length")
        .any(|given| given.value.is_empty() || !given.value.iter().all(u8::is_ascii_digit))
    {
        return Some("content-length is not a number");
    }
    if all("transfer-encoding").any(|given| !given.value.eq_ignore_ascii_case(b"chunked")) {
        return Some(CHUNKED_ONLY);
    }
    (all("host").count() > 1).then_some("more than one host is named")
}
