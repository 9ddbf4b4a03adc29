//! Runs a plan: keys, memo, early cut-off, parallelism, failures, and the record of what it did.
//!
//! *Takes* a `Plan`, performers and a store. *Gives* the goals' trees, and `Event`s while it goes on.
//! *Promises*: an action whose resolved inputs were seen before is not run again; equal actions of one plan run
//! once, and so do those of several processes with one store; a failed or cancelled build leaves a store that the next
//! run can use; all actions together keep to one budget of processors. *Does not know* what actions mean, nor who
//! watches.

mod event;
mod failure;
mod history;
mod job_server;
mod lane;
mod look;
mod reason;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod worker;

pub use event::{Event, StepReport};
pub use failure::{BuildError, StepFailure};
pub use history::{Asked, Recorder, due};
pub use job_server::{JobServer, JobServerError};
pub use look::{Known, look, look_each};
pub use reason::{Change, Reason, critical_path, reason};
pub use run::build;
pub use schedule::{AfterFailure, Built, Options, Performers};
