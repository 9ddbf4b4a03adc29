//! What a step waits for: each lane has workers of its own.

use crate::plan::{Action, Network};

/// How many transfers go on at once, whatever the number of processors.
const TRANSFERS: usize = 8;

/// The kind of worker that a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Waits for the network.
    Network,
    /// Uses a processor.
    Processor,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Lane; 2] = [Lane::Network, Lane::Processor];

    /// The lane that an action runs in.
    pub fn of<T>(action: &Action<T>) -> Lane {
        match action {
            Action::Fetch(_) => Lane::Network,
            Action::Run(run) if run.network != Network::None => Lane::Network,
            Action::Run(_) | Action::Assemble(_) | Action::Pack(_) => Lane::Processor,
        }
    }

    /// The number of steps of this lane that go on at once, where `jobs` processors are used.
    pub fn workers(self, jobs: usize) -> usize {
        match self {
            Lane::Network => TRANSFERS,
            Lane::Processor => jobs.max(1),
        }
    }
}
