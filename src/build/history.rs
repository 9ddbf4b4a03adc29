//! What a build did, as a record that is kept: from its events and its plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{BuildError, Event, Known, StepReport, look};
use crate::{
    content::Digest,
    plan::{Fact, Facts, Key, Plan, StepId},
    store::{BuildEnd, BuildRecord, RecordedFact, StepRecord, StepState, Store},
};

/// Follows the events of a build.
#[derive(Debug, Default)]
pub struct Recorder {
    seen: Mutex<Seen>,
}

/// What the events told.
#[derive(Debug, Default)]
struct Seen {
    steps: BTreeMap<StepId, (Key, StepState, Duration)>,
    took: Duration,
    processors: Duration,
}

impl Recorder {
    /// Takes note of an event.
    pub fn follow(&self, event: &Event) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut step = |step: &StepReport, state, took| seen.steps.insert(step.id, (step.key, state, took));
        match event {
            Event::Reused(report) => drop(step(report, StepState::Reused, Duration::ZERO)),
            Event::Finished { step: report, took } => drop(step(report, StepState::Ran, *took)),
            Event::Failed(report) => drop(step(report, StepState::Failed, Duration::ZERO)),
            Event::Ended { took, processors } => (seen.took, seen.processors) = (*took, *processors),
            Event::Planned { .. } | Event::Started { .. } | Event::Progressed { .. } => {}
        }
    }

    /// Whether nothing ran: every outcome was remembered.
    pub fn is_idle(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_idle()
    }

    /// The record of the build. It has no steps when nothing ran and `last`, the last record that has some, says the
    /// same.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn record(
        self,
        asked: Asked,
        end: BuildEnd,
        plan: &Plan,
        store: &Store,
        last: Option<&BuildRecord>,
    ) -> Result<BuildRecord, BuildError> {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let steps = if seen.is_told_by(last) {
            Vec::new()
        } else {
            // What was ready when the build ended early never ran, and is no part of it.
            let state = |id| seen.steps.get(&id).map(|(_, state, took)| (*state, *took));
            steps(plan, &resolved(plan, store)?, state)
        };
        let Asked { command, began } = asked;
        let known = seen.steps.values().filter(|(_, state, _)| *state == StepState::Reused).count();
        Ok(BuildRecord { command, began, took: seen.took, processors: seen.processors, end, known, steps })
    }
}

/// What was asked for, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What was asked for: `compose`, `build runc`.
    pub command: String,
    /// Seconds since 1970.
    pub began: u64,
}

impl Seen {
    fn is_idle(&self) -> bool {
        self.steps.values().all(|(_, state, _)| *state == StepState::Reused)
    }

    fn is_told_by(&self, last: Option<&BuildRecord>) -> bool {
        let keys: BTreeSet<Digest> = self.steps.values().map(|(key, _, _)| key.digest()).collect();
        let has = |last: &BuildRecord| keys.iter().all(|key| last.steps.iter().any(|step| step.key == *key));
        self.is_idle() && last.is_some_and(has)
    }
}

/// What the steps of a plan would be recorded as if they were run at `now`: what is known counts as reused, what could
/// run as due, and what waits for something else is not there.
///
/// # Errors
/// A store that cannot be used.
pub fn due(plan: &Plan, store: &Store, now: u64) -> Result<BuildRecord, BuildError> {
    let resolved = resolved(plan, store)?;
    let state = |id: StepId| {
        let is_known = resolved.get(id.0)?.as_ref().is_some_and(|(_, _, outcome)| !outcome.is_empty());
        Some((if is_known { StepState::Reused } else { StepState::Due }, Duration::ZERO))
    };
    Ok(BuildRecord {
        command: String::new(),
        began: now,
        took: Duration::ZERO,
        processors: Duration::ZERO,
        end: BuildEnd::Failed,
        known: 0,
        steps: steps(plan, &resolved, state),
    })
}

/// What is known of a step now, and what its key is made from, as far as its inputs are there.
type Resolved = Option<(Key, Facts, BTreeMap<String, Digest>)>;

fn resolved(plan: &Plan, store: &Store) -> Result<Vec<Resolved>, BuildError> {
    let resolved = look(plan, store)?.into_iter().map(|known| match known {
        Known::Waiting => None,
        Known::Ready(key, action) => Some((key, action.facts(), BTreeMap::new())),
        Known::Done(key, action, outcome) => Some((key, action.facts(), outcome)),
    });
    Ok(resolved.collect())
}

/// The records of the wanted steps whose inputs are known and that `state` knows.
fn steps(
    plan: &Plan,
    resolved: &[Resolved],
    state: impl Fn(StepId) -> Option<(StepState, Duration)>,
) -> Vec<StepRecord> {
    let mut records: Vec<StepRecord> = Vec::new();
    let mut places: BTreeMap<StepId, usize> = BTreeMap::new();
    for id in plan.wanted() {
        let (Some(step), Some(Some((key, facts, gave)))) = (plan.steps.get(id.0), resolved.get(id.0)) else {
            continue;
        };
        let Some((state, took)) = state(id) else { continue };
        let needs = step.action.needs().iter().filter_map(|need| places.get(need).copied()).collect();
        places.insert(id, records.len());
        records.push(StepRecord {
            component: step.component.clone(),
            stage: step.stage.clone(),
            key: key.digest(),
            state,
            took,
            needs,
            gave: gave.clone(),
            facts: facts.iter().map(|(name, fact)| (name.clone(), recorded(fact))).collect(),
        });
    }
    records
}

fn recorded(fact: &Fact) -> RecordedFact {
    match fact {
        Fact::Tree(tree) => RecordedFact::Tree(*tree),
        Fact::Text(text) => RecordedFact::Text(text.clone()),
    }
}
