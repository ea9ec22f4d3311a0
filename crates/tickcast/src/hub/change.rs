//! Changes the subscriptions of open streams.

use std::sync::Arc;

use super::Hub;
use crate::lane::{Change, Command, ProposedChange};
use crate::subscription::{Edit, EditError, Effective, StreamId};

/// Maximum number of attempts for a change that is outdated when the change reaches its lane.
const MAX_CHANGE_ATTEMPTS: usize = 8;

impl Hub {
    /// Changes the subscription of an open resumable stream. Returns `None` if there is no such
    /// stream. The result of the change is computed here, not in the lane.
    pub(crate) async fn change(
        &self,
        id: StreamId,
        edit: Edit,
    ) -> Option<Result<Effective, EditError>> {
        // This keeps the last selection alive, so that the next attempt continues from it.
        let mut previous = None;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            let current = self.ask(id, None).await?;
            let expiry = current.as_ref().ok().and_then(|own| own.viewer.expiry());
            if expiry.is_some_and(|at| at <= self.steady_time()) {
                return None;
            }
            let (from, effective) = match current.and_then(|current| {
                let effective = edit.clone().apply(current.clone())?;
                Ok((current, effective))
            }) {
                Ok(proposed) => proposed,
                Err(error) => return Some(Err(error)),
            };
            let prepared = match self.0.prepare_wholly(effective.filter.clone()).await {
                Ok(prepared) => prepared,
                Err(refusal) => return Some(Err(EditError::Refused(refusal))),
            };
            drop(previous.replace(Arc::clone(&prepared)));
            match self
                .ask(id, Some((from, effective, Some(prepared))))
                .await?
            {
                // Another change was faster, or the market has grown too much since.
                Err(EditError::Outdated) => {}
                answer => return Some(answer),
            }
        }
        Some(Err(EditError::Outdated))
    }

    /// Asks the lanes for the subscription of a stream, or requests a change of the subscription.
    async fn ask(
        &self,
        id: StreamId,
        change: Option<ProposedChange>,
    ) -> Option<Result<Effective, EditError>> {
        let (answer, mut answers) = tokio::sync::mpsc::channel(1);
        let asked_at = self.0.log.head();
        for lane in self.lanes() {
            let (change, answer) = (change.clone(), answer.clone());
            lane.inbox.send(Command::Change(Box::new(Change {
                id,
                change,
                asked_at,
                answer,
            })));
        }
        drop(answer);
        // The stream belongs to one lane. The other lanes drop the request.
        answers.recv().await
    }
}
