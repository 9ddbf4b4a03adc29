//! The plan: steps, what each takes from earlier ones, and who performs them.

use std::{
    collections::BTreeSet,
    error::Error,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Action, Goal, Outcome, Source, StepId};
use crate::content::Fault;

/// One action of a plan and how people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The component it belongs to: `runc`, `quickstart`.
    pub component: String,
    /// What is done: `fetch`, `config`, `compile`, `root`, `sign`, `erofs`, `verity`, `uki`, `esp`, `disk`.
    pub stage: String,
    /// What is done to it. Every `Source::Output` names an earlier step.
    pub action: Action<Source>,
}

/// Everything that will be done, in an order in which each step can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps; a `StepId` is an index here.
    pub steps: Vec<Step>,
    /// The outputs that are wanted; what no goal needs is not run.
    pub goals: Vec<(Goal, Source)>,
}

impl Plan {
    /// The steps that the goals need, directly or not.
    pub fn wanted(&self) -> BTreeSet<StepId> {
        let mut wanted = BTreeSet::new();
        let goals = self.goals.iter().filter_map(|(_, source)| match source {
            Source::Output { step, .. } => Some(*step),
            Source::Tree(_) => None,
        });
        let mut next: Vec<StepId> = goals.collect();
        while let Some(id) = next.pop() {
            if wanted.insert(id)
                && let Some(step) = self.steps.get(id.0)
            {
                next.extend(step.action.needs());
            }
        }
        wanted
    }
}

/// What a performer is given besides the action.
pub struct Request<'a> {
    /// Where everything that the action prints is written. Its folder is there.
    pub log: &'a Path,
    /// Set when the whole build is to stop.
    pub cancelled: &'a AtomicBool,
    /// The path of a GNU make job server FIFO (named pipe) that is this action's alone; one token is held for it.
    pub job_server: Option<&'a Path>,
    /// Told while the action goes on.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How far an action is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are done, of so many if that is known.
    Bytes {
        /// Done.
        done: u64,
        /// In all.
        total: Option<u64>,
    },
    /// The last line that the command printed.
    Line(String),
    /// Nothing goes on until somebody else is done: what is waited for.
    Waiting(String),
}

/// Why an action has no outcome.
#[derive(Debug)]
pub struct Failure {
    /// Whose fault it is; decides the exit code.
    pub fault: Fault,
    /// What happened; its chain of sources is printed by `cli`.
    pub error: Box<dyn Error + Send + Sync>,
}

/// Performs one instruction, resolved: all kinds of `A`. `build` knows performers only by this.
pub trait Performer<A>: Send + Sync {
    /// Performs the action and puts its outputs into the store.
    ///
    /// # Errors
    /// A [`Failure`]; nothing is remembered of it.
    fn perform(&self, action: &A, request: &Request<'_>) -> Result<Outcome, Failure>;
}

impl Request<'_> {
    /// Whether the performer should give up now.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Failure {
    /// A failure of the build itself.
    pub fn build(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { fault: Fault::Build, error: error.into() }
    }

    /// Something that this machine cannot do.
    pub fn machine(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { fault: Fault::Machine, error: error.into() }
    }

    /// Something that the outside refused.
    pub fn outside(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { fault: Fault::Outside, error: error.into() }
    }
}
