//! The streams that a view opens, prepares and changes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tickcast_core::{Filter, Mode};

use super::{ReadState, StreamView, View};
use crate::access::ClientAddress;
use crate::answers::Answers;
use crate::http::Problem;
use crate::hub::{FilterRefusal, Hub, SubjectPermit};
use crate::overload::OverloadStep;
use crate::rate::Rate;
use crate::stats::RefusedStream;
use crate::subscription::{
    Edit, EditError, Effective, MAX_READERS, PreparedStream, ReaderPermit, StreamId, Subscription,
};

/// A stream that the view has accepted.
pub(in crate::http) struct AcceptedStream {
    pub(in crate::http) subscription: Subscription,
    /// What the stream holds as long as it has a reader.
    pub(in crate::http) places: StreamPlaces,
}

/// The places of a stream among the streams of its subject, and among those of its address, if these
/// are limited, and among the readers of its prepared stream, if it follows one.
pub(in crate::http) type StreamPlaces = (
    Option<SubjectPermit>,
    Option<SubjectPermit>,
    Option<ReaderPermit>,
);

/// The reason why a stream has to come back later.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum StreamRefusal {
    #[error("the server is overloaded")]
    Overload,
    #[error(transparent)]
    Filter(#[from] FilterRefusal),
    #[error("the subject already has {0} streams, which is the limit")]
    Streams(u32),
    #[error("the address of the client already has {0} streams, which is the limit")]
    Address(u32),
    #[error("the address of the client has opened {0} streams in this second, which is the limit")]
    Opens(u32),
    #[error("the prepared stream already has {MAX_READERS} readers, which is the limit")]
    Readers,
}

/// The streams by name. Whoever knows the name of a stream may change it. An extractor.
pub(in crate::http) struct OpenStreams(Hub, Option<ClientAddress>);

/// What somebody wants from a prepared stream.
pub(in crate::http) struct WantedStream {
    pub(in crate::http) filter: Filter,
    pub(in crate::http) mode: Mode,
    pub(in crate::http) rate: Option<Rate>,
    pub(in crate::http) heartbeat: Duration,
    pub(in crate::http) snapshot: bool,
}

impl StreamRefusal {
    const fn reason(&self) -> RefusedStream {
        match self {
            Self::Overload => RefusedStream::Overload,
            Self::Filter(_) => RefusedStream::Filter,
            Self::Streams(_) => RefusedStream::Subject,
            Self::Address(_) => RefusedStream::Address,
            Self::Opens(_) => RefusedStream::Opens,
            Self::Readers => RefusedStream::Readers,
        }
    }
}

impl FromRequestParts<ReadState> for OpenStreams {
    type Rejection = Problem;

    /// The name is the permission, so the request needs no other, and none does harm.
    async fn from_request_parts(parts: &mut Parts, state: &ReadState) -> Result<Self, Problem> {
        Ok(Self(state.0.clone(), ClientAddress::of(parts)))
    }
}

impl View {
    /// Narrows a subscription to what the viewer may read, and prepares its filter, so that no lane
    /// has to. The inner error is a stream that has to come back later.
    pub(in crate::http) async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<Result<AcceptedStream, StreamRefusal>, Problem> {
        let subscription = subscription.narrowed_to(&self.viewer)?;
        let accepted = self.accept(subscription).await;
        Ok(accepted.inspect_err(|refusal| self.hub.inner().note_refused(refusal.reason())))
    }

    async fn accept(
        &self,
        mut subscription: Subscription,
    ) -> Result<AcceptedStream, StreamRefusal> {
        if self.hub.overload() >= OverloadStep::RefuseStreams {
            return Err(StreamRefusal::Overload);
        }
        if let Some(address) = self.address {
            self.hub
                .check_opens(address)
                .map_err(StreamRefusal::Opens)?;
        }
        let open = |(subject, max)| {
            let permit = self.hub.open_for(subject, max);
            permit.ok_or(StreamRefusal::Streams(max))
        };
        let subject = self.viewer.stream_limit().map(open).transpose()?;
        let address = match (self.hub.address_limit(), self.address) {
            (Some(max), Some(address)) => {
                let permit = self.hub.open_from(address, max);
                Some(permit.ok_or(StreamRefusal::Address(max))?)
            }
            _ => None,
        };
        let session = subscription.session.as_ref();
        let read = |stream| self.hub.read_prepared(stream).ok_or(StreamRefusal::Readers);
        let prepared = session.and_then(|own| own.prepared_stream.as_ref());
        let reader = prepared.map(read).transpose()?;
        let filter = subscription.filter.clone();
        subscription.prepared = Some(self.hub.inner().prepare(filter).await?);
        Ok(AcceptedStream {
            subscription,
            places: (subject, address, reader),
        })
    }

    /// Prepares a stream, within what the viewer may read.
    pub(in crate::http) fn prepare(
        &self,
        id: StreamId,
        wanted: &WantedStream,
    ) -> Result<Arc<PreparedStream>, Problem> {
        let effective = Effective {
            filter: self.viewer.filter(&wanted.filter)?,
            mode: wanted.mode,
            rate: self.viewer.rate(wanted.mode, wanted.rate)?,
            viewer: self.viewer.clone(),
        };
        let stream = Arc::new(PreparedStream::new(
            id,
            effective,
            (wanted.heartbeat, wanted.snapshot),
            self.hub.now().uptime,
        ));
        self.hub.add_prepared_stream(Arc::clone(&stream))?;
        Ok(stream)
    }
}

impl OpenStreams {
    /// Returns the prepared stream with this name, its subscription, and the view of its readers.
    /// The market of the view may have no data yet.
    pub(in crate::http) fn prepared(
        &self,
        id: StreamId,
    ) -> Option<(Arc<PreparedStream>, Effective, StreamView)> {
        let stream = self.0.prepared_stream(id)?;
        let effective = stream.current()?;
        let viewer = effective.viewer.clone();
        let view = match self.0.behind(viewer.least_delay()) {
            Ok(hub) => StreamView::View(View {
                hub,
                server: self.0.clone(),
                viewer,
                address: self.1,
            }),
            Err(_) => StreamView::NotYet,
        };
        Some((stream, effective, view))
    }

    /// Changes the subscription of a prepared or an open stream, within what its viewer may read.
    /// Returns `None` if there is no such stream.
    pub(in crate::http) async fn change(
        &self,
        id: StreamId,
        edit: Edit,
    ) -> Option<Result<Effective, EditError>> {
        self.0.change(id, edit).await
    }

    /// Ends the streams with this name. Returns whether there was one.
    pub(in crate::http) async fn delete(&self, id: StreamId) -> bool {
        self.0.delete(id).await
    }

    pub(in crate::http) fn answers(&self) -> &Answers {
        self.0.answers()
    }
}
