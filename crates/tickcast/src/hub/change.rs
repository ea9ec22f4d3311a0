//! Changes the subscriptions of open streams and of prepared streams.

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use super::Hub;
use crate::lane::{Change, ChangeAnswer, ChangeRequest, Command};
use crate::subscription::{Edit, EditError, Effective, PreparedStream, StreamId};

/// Maximum number of attempts for a change that is outdated when the change reaches its lane.
const MAX_CHANGE_ATTEMPTS: usize = 8;

impl Hub {
    /// Changes the subscription of a prepared stream, or of an open resumable stream. Returns
    /// `None` if there is no such stream. The result of the change is computed here, not in the
    /// lane.
    pub(crate) async fn change(
        &self,
        id: StreamId,
        edit: Edit,
    ) -> Option<Result<Effective, EditError>> {
        if let Some(stream) = self.prepared_stream(id) {
            return self.change_prepared(&stream, edit).await;
        }
        for market in self.markets() {
            if let Some(changed) = market.change_open(id, edit.clone()).await {
                return Some(changed);
            }
        }
        None
    }

    /// Ends all streams with a name, and deletes the prepared stream with this name. Returns
    /// whether there was one.
    pub(crate) async fn delete(&self, id: StreamId) -> bool {
        let prepared = self.0.prepared_streams.remove(id);
        if let Some(stream) = &prepared {
            stream.end();
        }
        let mut ended = prepared.is_some();
        for market in self.markets() {
            let mut answers = market.request(id, || ChangeRequest::Delete);
            while answers.recv().await.is_some() {
                ended = true;
            }
        }
        ended
    }

    async fn change_open(&self, id: StreamId, edit: Edit) -> Option<Result<Effective, EditError>> {
        // This keeps the last selection alive, so that the next attempt continues from it.
        let mut previous = None;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            // The stream belongs to one lane. The other lanes drop the request.
            let current = self.request(id, || ChangeRequest::Ask).recv().await?;
            let current = match current.transpose()? {
                Ok(current) => current,
                Err(error) => return Some(Err(error)),
            };
            if current
                .viewer
                .expiry()
                .is_some_and(|at| at <= self.steady_time())
            {
                return None;
            }
            let effective = match edit.clone().apply(current.clone()) {
                Ok(effective) => effective,
                Err(error) => return Some(Err(error)),
            };
            let prepared = match self.0.prepare_wholly(effective.filter.clone()).await {
                Ok(prepared) => prepared,
                Err(refusal) => return Some(Err(EditError::Refused(refusal))),
            };
            drop(previous.replace(Arc::clone(&prepared)));
            let proposed = (current, effective, Some(prepared));
            let mut answers = self.request(id, || ChangeRequest::Propose(proposed.clone()));
            match answers.recv().await?.transpose()? {
                // Another change was faster, or the market has grown too much since.
                Err(EditError::Outdated) => {}
                answer => return Some(answer),
            }
        }
        Some(Err(EditError::Outdated))
    }

    async fn change_prepared(
        &self,
        stream: &Arc<PreparedStream>,
        edit: Edit,
    ) -> Option<Result<Effective, EditError>> {
        if let Err(too_soon) = stream.admit_change(self.0.clock.uptime()) {
            return Some(Err(too_soon.into()));
        }
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = stream.current()?;
            let effective = match edit.clone().apply(current.clone()) {
                Ok(effective) => effective,
                Err(error) => return Some(Err(error)),
            };
            let more = effective.entries().saturating_sub(current.entries());
            if let Err(full) = self.0.prepared_streams.grow(more) {
                return Some(Err(EditError::NoRoom(full)));
            }
            if stream.replace(&current, effective.clone()) {
                return Some(self.bring_to_readers(stream).await.map(|()| effective));
            }
        }
        Some(Err(EditError::Outdated))
    }

    /// Gives all readers of a prepared stream its current subscription. They are all on the market
    /// of its viewer.
    async fn bring_to_readers(&self, stream: &Arc<PreparedStream>) -> Result<(), EditError> {
        let viewer = stream.current().map(|current| current.viewer);
        let market = viewer.and_then(|viewer| self.behind(viewer.least_delay()).ok());
        match market {
            Some(market) => market.bring_to_own_readers(stream).await,
            // A market without data has no readers.
            None => Ok(()),
        }
    }

    async fn bring_to_own_readers(&self, stream: &Arc<PreparedStream>) -> Result<(), EditError> {
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let Some(effective) = stream.current() else {
                return Ok(());
            };
            let prepared = self.0.prepare_wholly(effective.filter).await;
            let prepared = prepared.map_err(EditError::Refused)?;
            let follow = || ChangeRequest::Follow(Arc::clone(stream), Some(Arc::clone(&prepared)));
            let mut answers = self.request(stream.id, follow);
            let mut outdated = false;
            while let Some(answer) = answers.recv().await {
                outdated |= answer.is_err();
            }
            if !outdated {
                return Ok(());
            }
        }
        Err(EditError::Outdated)
    }

    /// Sends a request to all lanes. Each lane that has streams with this name answers.
    fn request(&self, id: StreamId, request: impl Fn() -> ChangeRequest) -> Receiver<ChangeAnswer> {
        let lanes = self.lanes();
        let (answer, answers) = tokio::sync::mpsc::channel(lanes.len().max(1));
        let asked_at = self.0.log.head();
        for lane in lanes {
            lane.inbox.send(Command::Change(Box::new(Change {
                id,
                request: request(),
                asked_at,
                answer: answer.clone(),
            })));
        }
        answers
    }
}
