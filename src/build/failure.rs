//! Builds that did not reach their goals, and which steps did not.

use std::{error::Error, io, path::PathBuf};

use super::{JobServerError, StepReport};
use crate::{content::Digest, plan::Failure, store::StoreError};

/// One step that has no outcome.
#[derive(Debug)]
pub struct StepFailure {
    /// The step.
    pub step: StepReport,
    /// Why.
    pub failure: Failure,
    /// Where everything that it printed is; the file may not exist.
    pub log: PathBuf,
}

/// The object that an error says is missing or damaged.
pub(super) fn lost_object(error: &(dyn Error + 'static)) -> Option<Digest> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error that wraps another one is not among its own sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.map(|inner| -> &(dyn Error + 'static) { inner });
        let found = [Some(error), inner].into_iter().flatten().find_map(<dyn Error>::downcast_ref::<StoreError>);
        if let Some(object) = found.and_then(StoreError::lost_object) {
            return Some(object);
        }
        next = error.source();
    }
    None
}

/// A build that did not reach its goals.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Some steps failed.
    #[error("{} of the steps failed and {skipped} more were not tried", failures.len())]
    Steps {
        /// Each of them.
        failures: Vec<StepFailure>,
        /// How many steps needed one of them.
        skipped: usize,
    },
    /// The user stopped it.
    #[error("the build was stopped")]
    Cancelled,
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[source] StoreError),
    /// The budget of processors cannot be kept.
    #[error("the budget of processors cannot be kept")]
    JobServer(#[source] JobServerError),
}
