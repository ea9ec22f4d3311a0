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
        match self.prepared_stream(id) {
            Some(stream) => self.change_prepared(&stream, edit).await,
            None => self.change_open(id, edit).await,
        }
    }

    /// Ends all streams with a name, and deletes the prepared stream with this name. Returns
    /// whether there was one.
    pub(crate) async fn delete(&self, id: StreamId) -> bool {
        let prepared = self.0.prepared_streams.remove(id);
        if let Some(stream) = &prepared {
            stream.end();
        }
        let mut answers = self.request(id, || ChangeRequest::Delete);
        let mut ended = prepared.is_some();
        while answers.recv().await.is_some() {
            ended = true;
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
        if !stream.admit_change(self.0.clock.uptime()) {
            return Some(Err(EditError::TooOften));
        }
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let (current, _) = stream.current()?;
            let effective = match edit.clone().apply(current.clone()) {
                Ok(effective) => effective,
                Err(error) => return Some(Err(error)),
            };
            let prepared = match self.0.prepare_wholly(effective.filter.clone()).await {
                Ok(prepared) => prepared,
                Err(refusal) => return Some(Err(EditError::Refused(refusal))),
            };
            if stream.replace(&current, (effective.clone(), Some(prepared))) {
                return Some(self.bring_to_readers(stream).await.map(|()| effective));
            }
        }
        Some(Err(EditError::Outdated))
    }

    /// Gives all readers of a prepared stream its current subscription.
    async fn bring_to_readers(&self, stream: &Arc<PreparedStream>) -> Result<(), EditError> {
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let follow = || ChangeRequest::Follow(Arc::clone(stream));
            let mut answers = self.request(stream.id, follow);
            let mut outdated = false;
            while let Some(answer) = answers.recv().await {
                outdated |= answer.is_err();
            }
            let Some((effective, _)) = stream.current().filter(|_| outdated) else {
                return Ok(());
            };
            // The market has grown too much since the filter was prepared.
            let prepared = self.0.prepare_wholly(effective.filter.clone()).await;
            let prepared = prepared.map_err(EditError::Refused)?;
            stream.replace(&effective.clone(), (effective, Some(prepared)));
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
