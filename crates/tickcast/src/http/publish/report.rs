//! What became of a batch.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tickcast_core::{Cursor, Outcome, Rejected, Symbol, TickError};
use utoipa::ToSchema;

use super::read::Read;
use crate::http::Problem;

/// Most rejections that are listed; all are counted.
const MAX_LISTED_REJECTIONS: usize = 100;

/// What became of a batch, so far or in the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Report {
    accepted: u64,
    /// Older than their symbol's newest, and dropped.
    late: u64,
    /// The same as their symbol's newest, and dropped.
    unchanged: u64,
    rejected_count: u64,
    /// The first hundred of them.
    rejected: Vec<Rejection>,
    /// The newest place on the tape once all of it was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// How many of the rejected were no JSON at all.
    #[serde(skip)]
    unreadable: u64,
    /// Why the rest could not be kept.
    #[serde(skip)]
    pub(super) storage_errors: Option<String>,
    /// The position of the first item that has not been dealt with.
    #[serde(skip)]
    pub(super) next: u64,
    /// What of the body had been dealt with as this was remembered.
    #[serde(skip)]
    pub(super) read: Option<Read>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Rejection {
    /// Which: its place in the array, or its line, from 0.
    index: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    error: String,
}

/// A report as the log remembers it.
#[derive(Serialize, Deserialize)]
struct Remembered<R> {
    report: R,
    unreadable: u64,
    #[serde(default)]
    read: Option<Read>,
}

impl Report {
    /// As the log remembers it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it could be refused: all keys are text.
        let Self { unreadable, read, .. } = *self;
        serde_json::to_vec(&Remembered { report: self, unreadable, read }).unwrap_or_default()
    }

    /// What [`to_bytes`](Self::to_bytes) gave, of a request of which items before `next` were dealt with.
    pub(super) fn restored(bytes: &[u8], next: u64) -> Self {
        let remembered: Option<Remembered<Self>> = serde_json::from_slice(bytes).ok();
        remembered.map_or_else(Self::default, |Remembered { report, unreadable, read }| Self {
            unreadable,
            next,
            read,
            ..report
        })
    }

    /// Whether it may be the report of a body that was read so.
    pub(super) fn is_of(&self, read: Read) -> bool {
        self.read.is_none_or(|own| own == read)
    }

    pub(super) fn reject(&mut self, index: u64, rejected: &Rejected) {
        self.unreadable += u64::from(matches!(rejected.error, TickError::NotJson(_) | TickError::Unfinished));
        self.rejected_count += 1;
        self.next = self.next.max(index + 1);
        if self.rejected.len() < MAX_LISTED_REJECTIONS {
            let symbol = rejected.symbol.map(|symbol| symbol.to_string());
            self.rejected.push(Rejection { index, symbol, error: rejected.error.to_string() });
        }
    }

    pub(super) fn count(&mut self, index: u64, symbol: Symbol, outcome: Result<Outcome, TickError>) {
        match outcome {
            Ok(Outcome::Accepted(_)) => self.accepted += 1,
            Ok(Outcome::Late) => self.late += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            // It may come again: it has not been dealt with.
            Err(error @ TickError::Storage(_)) => {
                self.storage_errors.get_or_insert_with(|| error.to_string());
                return;
            }
            Err(error) => return self.reject(index, &Rejected { symbol: Some(symbol), error }),
        }
        self.next = self.next.max(index + 1);
    }

    /// All of it was dealt with.
    pub(super) fn close(&mut self, cursor: Cursor, read: Read) {
        self.rejected.sort_by_key(|rejection| rejection.index);
        self.read = Some(read);
        self.cursor = Some(cursor.to_string());
    }

    /// The answer where the rest could not be kept. What was accepted before stands.
    pub(super) fn storage_problem(&mut self) -> Option<Problem> {
        let why = self.storage_errors.take()?;
        Some(Problem::new(StatusCode::INSUFFICIENT_STORAGE, why).with("accepted", self.accepted))
    }

    /// Returns the status and a summary for a batch of which nothing was taken, if anything was rejected.
    const fn failure(&self) -> Option<(StatusCode, &'static str)> {
        match self.rejected_count {
            0 => None,
            _ if self.accepted + self.late + self.unchanged > 0 => None,
            all if all == self.unreadable => Some((StatusCode::BAD_REQUEST, "nothing could be read")),
            _ => Some((StatusCode::UNPROCESSABLE_ENTITY, "no tick was taken")),
        }
    }

    /// The answer where the rest did not come. What was accepted before stands.
    pub(super) fn broken_off(&self, problem: Problem) -> Problem {
        problem.with("accepted", self.accepted)
    }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let Some((status, what)) = self.failure() else { return axum::Json(self).into_response() };
        let first = self.rejected.first().map(|rejection| rejection.error.as_str()).unwrap_or_default();
        let problem = Problem::new(status, format!("{what}: {first}"));
        let members = serde_json::to_value(&self).unwrap_or_default();
        let members = members.as_object().into_iter().flatten();
        members.fold(problem, |problem, (name, value)| problem.with(name, value.clone())).into_response()
    }
}
