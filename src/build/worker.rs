//! What one worker thread does: takes a ready step, has it performed, remembers the outcome.

use std::{sync::atomic::Ordering, thread};

use super::{
    BuildError, Event,
    job_server::Token,
    lane::Lane,
    schedule::{AfterFailure, AfterStep, Ready, Schedule},
};
use crate::{
    plan::{Action, Failure, Outcome, Progress, Request},
    store::{Claim, Memo, StoreError},
};

/// Performs ready steps of one lane until nothing is left.
pub(super) fn work(schedule: &Schedule<'_>, lane: Lane) {
    let _guard = PanicGuard(schedule);
    while let Some(ready) = schedule.next(lane) {
        let turn = match turn(schedule, &ready) {
            Ok(turn) => turn,
            Err(error) => return schedule.broke(BuildError::Store(error)),
        };
        let claim = match turn {
            Turn::Ours(claim) => claim,
            Turn::Done(outcome) => {
                (schedule.events)(Event::Reused(ready.report.clone()));
                schedule.finished(&ready, outcome);
                continue;
            }
            Turn::Theirs => {
                schedule.postpone(&ready);
                continue;
            }
        };
        match perform(schedule, lane, &ready, claim) {
            Ok(Some(outcome)) => schedule.finished(&ready, outcome),
            Ok(None) => return,
            Err(failure) => {
                let after = schedule.failed(&ready, failure);
                if after == AfterStep::GivenUp && schedule.options.after_failure == AfterFailure::Stop {
                    schedule.give_up(lane);
                }
            }
        }
    }
}

/// Stops the other workers when this one panics, so that they do not wait for its step for ever.
struct PanicGuard<'a>(&'a Schedule<'a>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Whose turn it is to perform an action.
enum Turn {
    /// This process's; no other performs it as long as it has the claim.
    Ours(Option<Claim>),
    /// Nobody's: another process has performed it meanwhile.
    Done(Outcome),
    /// Another process's, which performs it now.
    Theirs,
}

/// Looks whether another process performs what a step wants performed.
fn turn(schedule: &Schedule<'_>, ready: &Ready) -> Result<Turn, StoreError> {
    // What is downloaded has claims of its own, by file.
    if !ready.action.is_remembered() || matches!(ready.action, Action::Fetch(_)) {
        return Ok(Turn::Ours(None));
    }
    let key = ready.report.key.digest();
    let Some(claim) = schedule.store.claim(key)? else { return Ok(Turn::Theirs) };
    // Between the first look at what is remembered and the claim somebody may have been quick.
    Ok(schedule.store.recall(key)?.map_or(Turn::Ours(Some(claim)), Turn::Done))
}

/// Has one step performed; `None` when the build was cancelled or broke before it started.
fn perform(
    schedule: &Schedule<'_>,
    lane: Lane,
    ready: &Ready,
    claim: Option<Claim>,
) -> Result<Option<Outcome>, Failure> {
    let token = match lane {
        Lane::Network => None,
        Lane::Processor => match schedule.job_server.take(&schedule.stop) {
            Ok(Some(token)) => Some(token),
            Ok(None) => return Ok(None),
            Err(error) => {
                schedule.broke(BuildError::JobServer(error));
                return Ok(None);
            }
        },
    };
    let name = schedule.name(ready.id);
    let last = schedule.store.last_duration(&name);
    (schedule.events)(Event::Started { step: ready.report.clone(), last });
    let log = schedule.store.log_path(ready.report.key.digest());
    #[expect(clippy::disallowed_methods, reason = "how long a step took is shown to people; it enters no key")]
    let start = std::time::Instant::now();
    let progress = |progress: Progress| (schedule.events)(Event::Progressed { step: ready.id, progress });
    let request = Request {
        log: &log,
        cancelled: &schedule.stop,
        job_server: token.as_ref().map(Token::path),
        progress: &progress,
    };
    let outcome = schedule.performers.perform(&ready.action, &request)?;
    drop(token);
    let took = start.elapsed();
    let key = ready.report.key.digest();
    let remembered = if ready.action.is_remembered() { schedule.store.remember(key, &outcome) } else { Ok(()) };
    if let Err(error) = remembered.and_then(|()| schedule.store.remember_duration(&name, took)) {
        schedule.broke(BuildError::Store(error));
        return Ok(None);
    }
    // Now that it is remembered.
    drop(claim);
    (schedule.events)(Event::Finished { step: ready.report.clone(), took });
    Ok(Some(outcome))
}
