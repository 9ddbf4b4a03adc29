//! What happens during a build, as values; the terminal and JSON lines are readers of them.

use std::time::Duration;

use crate::plan::{Key, Progress, StepId};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The plan was looked through: so many steps are wanted, so many of them known already.
    Planned {
        /// Steps that the goals need.
        wanted: usize,
        /// Steps whose outcome was remembered before anything ran.
        known: usize,
    },
    /// The outcome of a step was remembered; it is not run.
    Reused(StepReport),
    /// A step is being performed.
    Started {
        /// The step.
        step: StepReport,
        /// How long it took the last time on this machine.
        last: Option<Duration>,
    },
    /// A step that runs got further.
    Progressed {
        /// The step.
        step: StepId,
        /// How far.
        progress: Progress,
    },
    /// A step was performed.
    Finished {
        /// The step.
        step: StepReport,
        /// How long it took.
        took: Duration,
    },
    /// A step failed; the whole list comes with the build's error.
    Failed(StepReport),
    /// Nothing runs any more.
    Ended {
        /// How long the build took.
        took: Duration,
        /// How long processors worked for it, all together.
        processors: Duration,
    },
}

/// Which step an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// Its number in the plan.
    pub id: StepId,
    /// Its component.
    pub component: String,
    /// What is done.
    pub stage: String,
    /// Its key.
    pub key: Key,
}
