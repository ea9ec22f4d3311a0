//! Access: what one reader may read, and until when, and what one publisher may publish.

#[cfg(feature = "http")]
mod client_address;
#[cfg(feature = "http")]
mod grant;

use std::sync::Arc;
use std::time::Duration;

use tickcast_core::{Filter, Mode, NotAllowed, Time};

use crate::rate::Rate;
#[cfg(feature = "http")]
pub use crate::source_name::SourceName;
#[cfg(feature = "http")]
pub(crate) use client_address::AddressGroup;
#[cfg(feature = "http")]
pub use client_address::ClientAddress;
#[cfg(feature = "http")]
pub(crate) use grant::Admission;
#[cfg(feature = "http")]
pub use grant::Grant;

/// What one reader may read: which symbols, how old at least, at most how many updates a second, on
/// how many streams at a time, and until when.
///
/// Insert a viewer into the extensions of a request, in a layer in front of
/// [`Hub::router`](crate::Hub::router): every route then answers for this viewer. A request without
/// a viewer may read everything, unless the hub
/// [requires a viewer](crate::HubBuilder::require_viewer). In the same program, pass a viewer to
/// [`Subscription::narrowed_to`](crate::Subscription::narrowed_to). A viewer is cheap to clone.
///
/// Two things are the same for every viewer. The names and the states of all sources. And cursors:
/// they count the ticks of all symbols, and contain a checksum of them, with which somebody who
/// guesses a hidden tick exactly can confirm the guess.
///
/// Default: every symbol, without a limit.
///
/// ```
/// use axum::extract::Request;
/// use tickcast::access::Viewer;
/// use tickcast::{Filter, Rate};
///
/// # fn example(mut request: Request) -> Result<(), Box<dyn std::error::Error>> {
/// let viewer = Viewer::of(Filter::parse(["AAPL", "BTC*"])?).max_rate(Rate::per_second(2.0)?);
/// request.extensions_mut().insert(viewer);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Viewer(Option<Arc<Permissions>>);

/// Says that a layer cannot tell yet who reads, for example because the keys of logins are still being
/// loaded. Insert it into the extensions of a request instead of a [`Viewer`]: the answer is then 503
/// with `Retry-After` and this text, and a stream is told to come back later.
#[cfg(feature = "http")]
#[derive(Debug, Clone)]
pub struct UnknownYet(pub Box<str>);

/// The permissions of a viewer. A viewer without them may read everything, and takes no memory.
#[derive(Debug, Clone, PartialEq)]
struct Permissions {
    symbols: Filter,
    max_rate: Option<Rate>,
    expires: Option<Time>,
    subject: Arc<str>,
    token_id: Arc<str>,
    max_streams: Option<u32>,
    delay: Duration,
}

impl Permissions {
    fn of(symbols: Filter) -> Self {
        Self {
            symbols,
            max_rate: None,
            expires: None,
            subject: Arc::default(),
            token_id: Arc::default(),
            max_streams: None,
            delay: Duration::ZERO,
        }
    }
}

/// Reason why a reader is refused something: its [`Viewer`] does not permit it. Returned by
/// [`Subscription::narrowed_to`](crate::Subscription::narrowed_to). As a `tickcast::http::Problem`,
/// the error has the status 403.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The request names symbols that the viewer may not read.
    #[error(transparent)]
    Symbols(#[from] NotAllowed),
    /// The request is for every tick, but the viewer has a maximum rate. Contains that rate.
    #[error(
        "you may receive at most {} updates a second of each symbol, and mode=all sends every tick",
        .0.rate()
    )]
    EveryTick(Rate),
}

impl Viewer {
    /// A viewer that may read everything.
    pub(crate) const UNLIMITED: Self = Self(None);

    /// Makes a viewer that may read the symbols that `symbols` selects, without a maximum rate.
    #[must_use]
    pub fn of(symbols: Filter) -> Self {
        Self(Some(Arc::new(Permissions::of(symbols))))
    }

    /// Limits the updates of each symbol on each stream to `rate`, whatever a request asks for.
    /// Streams of every tick (`mode=all`) are then refused, and an open stream can be changed only
    /// once in the time between two updates. Reading a price again and again, and the stored ticks
    /// (`/v1/ticks`), are not limited. Default: no limit.
    #[must_use]
    pub fn max_rate(mut self, rate: Rate) -> Self {
        self.permissions().max_rate = Some(rate);
        self
    }

    /// Sets when the permission ends, for example with a session or a token. From then on, requests
    /// are 401. Open streams end within 5 seconds, not all at once: a resumable stream is sent
    /// `bye` with the reason `expired`, and continues at its cursor with a new viewer. Default:
    /// never.
    ///
    /// If the wall clock jumps forward while the program runs, nothing expires earlier: the time
    /// counts from the start of the hub. So start a hub only after the clock of the machine is
    /// right, or what expires, expires too late.
    #[must_use]
    pub fn expires(mut self, at: Time) -> Self {
        self.permissions().expires = Some(at);
        self
    }

    /// Names who reads, for example a user or a customer. The open streams are counted for each
    /// subject. Default: an empty name, under which all viewers without a subject count together.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.permissions().subject = subject.into();
        self
    }

    /// Names the login or the token of the request, so that it can be [revoked](crate::Hub::revoke)
    /// alone. Default: an empty name.
    #[must_use]
    pub fn token_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.permissions().token_id = id.into();
        self
    }

    /// Returns the subject that the viewer was given, or an empty text.
    #[must_use]
    pub fn subject_name(&self) -> &str {
        self.0.as_deref().map_or("", |own| &own.subject)
    }

    /// Returns the token id that the viewer was given, or an empty text.
    #[must_use]
    pub fn token_name(&self) -> &str {
        self.0.as_deref().map_or("", |own| &own.token_id)
    }

    /// Checks whether anything of the viewer is limited or named.
    pub(crate) const fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Limits the number of streams that the subject has open at a time. A further stream is told
    /// to come back later (`bye` with the reason `busy`), as browsers expect. Default: no limit.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.permissions().max_streams = Some(streams);
        self
    }

    /// Delays what the reader may read by at least `delay`: the reader reads the market as it was
    /// then, on every route. The hub needs a delayed market for it, see
    /// [`HubBuilder::delays`](crate::HubBuilder::delays); the next longer delay counts. If the hub
    /// has none that is long enough, requests are 403. Default: no delay.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.permissions().delay = delay;
        self
    }

    /// Returns how far the reader's market is behind, at least.
    pub(crate) fn least_delay(&self) -> Duration {
        self.0.as_deref().map_or(Duration::ZERO, |own| own.delay)
    }

    /// Returns the subject and its maximum number of open streams, if there is a maximum.
    pub(crate) fn stream_limit(&self) -> Option<(Arc<str>, u32)> {
        let permissions = self.0.as_deref()?;
        Some((Arc::clone(&permissions.subject), permissions.max_streams?))
    }

    fn permissions(&mut self) -> &mut Permissions {
        let permissions = self
            .0
            .get_or_insert_with(|| Arc::new(Permissions::of(Filter::all())));
        Arc::make_mut(permissions)
    }

    /// Returns the filter of the symbols that the viewer may read, or `None` if these are all.
    #[must_use]
    pub fn symbols(&self) -> Option<&Filter> {
        let permissions = self.0.as_deref()?;
        Some(&permissions.symbols).filter(|symbols| !symbols.is_all())
    }

    /// Returns the maximum rate, if there is one.
    pub(crate) fn rate_limit(&self) -> Option<Rate> {
        self.0.as_ref()?.max_rate
    }

    /// Returns when the permission ends, or `None` if it never ends.
    pub(crate) fn expiry(&self) -> Option<Time> {
        self.0.as_ref()?.expires
    }

    /// Returns what `wanted` selects of the symbols that the viewer may read.
    pub(crate) fn filter(&self, wanted: &Filter) -> Result<Filter, Denied> {
        match self.symbols() {
            Some(permitted) => Ok(wanted.narrowed_to(permitted)?),
            None => Ok(wanted.clone()),
        }
    }

    /// Returns the rate of a stream that asks for the rate `wanted`.
    pub(crate) fn rate(&self, mode: Mode, wanted: Option<Rate>) -> Result<Option<Rate>, Denied> {
        match (self.rate_limit(), wanted) {
            (None, wanted) => Ok(wanted),
            (Some(max), _) if mode == Mode::All => Err(Denied::EveryTick(max)),
            (Some(max), None) => Ok(Some(max)),
            (Some(max), Some(wanted)) => Ok(Some(wanted.slower_of(max))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_limits_the_rate() {
        let rate = |updates| Rate::per_second(updates).unwrap();
        let viewer = Viewer::default().max_rate(rate(2.0));
        assert_eq!(viewer.rate(Mode::Latest, None), Ok(Some(rate(2.0))));
        assert_eq!(
            viewer.rate(Mode::Latest, Some(rate(5.0))),
            Ok(Some(rate(2.0)))
        );
        assert_eq!(
            viewer.rate(Mode::Latest, Some(rate(1.0))),
            Ok(Some(rate(1.0)))
        );
        assert_eq!(
            viewer.rate(Mode::All, None).unwrap_err().to_string(),
            "you may receive at most 2 updates a second of each symbol, and mode=all sends every tick"
        );
        assert_eq!(Viewer::default().rate(Mode::All, None), Ok(None));
    }
}
