//! Writes down what a build did, so that people can be told later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{ComposeError, Order, Project, Session};
use crate::{
    build::{self, Built, Event, Known},
    content::Digest,
    plan::{Fact, Facts, Key, Lowered, StepId},
    store::{BuildEnd, BuildRecord, RecordedFact, StepRecord, StepState},
};

/// What the events of a build told.
#[derive(Debug, Default)]
struct Seen {
    steps: BTreeMap<StepId, (Key, StepState, Duration)>,
    took: Duration,
    processors: Duration,
}

impl Seen {
    fn follow(&mut self, event: &Event) {
        let mut step = |step: &build::StepReport, state, took| self.steps.insert(step.id, (step.key, state, took));
        match event {
            Event::Reused(report) => drop(step(report, StepState::Reused, Duration::ZERO)),
            Event::Finished { step: report, took } => drop(step(report, StepState::Ran, *took)),
            Event::Failed(report) => drop(step(report, StepState::Failed, Duration::ZERO)),
            Event::Ended { took, processors } => (self.took, self.processors) = (*took, *processors),
            Event::Planned { .. } | Event::Started { .. } | Event::Progressed { .. } => {}
        }
    }

    fn is_idle(&self) -> bool {
        self.steps.values().all(|(_, state, _)| *state == StepState::Reused)
    }
}

/// What is known of a step now, and what its key is made from, as far as its inputs are there.
type Resolved = Option<(Key, Facts, BTreeMap<String, Digest>)>;

impl Session<'_> {
    /// Runs what a plan's goals need, and keeps a record of it for the variant of `order`: `command` is what was
    /// asked for.
    ///
    /// # Errors
    /// Every action that failed, or a store that cannot be used.
    pub fn build_recorded(
        &self,
        project: &Project,
        order: &Order,
        command: &str,
        lowered: &Lowered,
    ) -> Result<Built, ComposeError> {
        let seen = Mutex::new(Seen::default());
        let built = self.build_told(lowered, &|event: Event| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).follow(&event);
            (self.events)(event);
        });
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let variant = order.variant.to_string();
        let recorded = self.record(project, &variant, lowered, &seen).and_then(|steps| {
            let count = |state| seen.steps.values().filter(|(_, found, _)| *found == state).count();
            let record = BuildRecord {
                command: command.to_owned(),
                began: self.now,
                took: seen.took,
                processors: seen.processors,
                end: if built.is_ok() { BuildEnd::Done } else { BuildEnd::Failed },
                known: count(StepState::Reused),
                steps,
            };
            self.store.record_build(&project.root, &variant, &record).map_err(ComposeError::Store)
        });
        // What went wrong first is told.
        let built = built?;
        recorded.map(|()| built)
    }

    /// The steps of a build for its record; none when it did nothing that the last one does not say already.
    fn record(
        &self,
        project: &Project,
        variant: &str,
        lowered: &Lowered,
        seen: &Seen,
    ) -> Result<Vec<StepRecord>, ComposeError> {
        if seen.is_idle() {
            let earlier = self.store.builds(&project.root, variant, 2).map_err(ComposeError::Store)?;
            let last = earlier.iter().find(|build| !build.steps.is_empty());
            let keys: BTreeSet<Digest> = seen.steps.values().map(|(key, _, _)| key.digest()).collect();
            if last.is_some_and(|last| keys.iter().all(|key| last.steps.iter().any(|step| step.key == *key))) {
                return Ok(Vec::new());
            }
        }
        let resolved = self.resolved(lowered)?;
        // What was ready when the build ended early never ran, and is no part of it.
        let state = |id| seen.steps.get(&id).map(|(_, state, took)| (*state, *took));
        Ok(steps(lowered, &resolved, state))
    }

    /// What the steps of a plan would be recorded as if they were run now: what is known counts as reused, what could
    /// run as due, and what waits for something else is not there.
    ///
    /// # Errors
    /// A store that cannot be used.
    pub fn foreseen(&self, lowered: &Lowered) -> Result<BuildRecord, ComposeError> {
        let resolved = self.resolved(lowered)?;
        let state = |id: StepId| {
            let is_known = resolved.get(id.0)?.as_ref().is_some_and(|(_, _, outcome)| !outcome.is_empty());
            Some((if is_known { StepState::Reused } else { StepState::Due }, Duration::ZERO))
        };
        Ok(BuildRecord {
            command: String::new(),
            began: self.now,
            took: Duration::ZERO,
            processors: Duration::ZERO,
            end: BuildEnd::Failed,
            known: 0,
            steps: steps(lowered, &resolved, state),
        })
    }

    fn resolved(&self, lowered: &Lowered) -> Result<Vec<Resolved>, ComposeError> {
        let resolved = self.look(lowered)?.into_iter().map(|known| match known {
            Known::Waiting => None,
            Known::Ready(key, action) => Some((key, action.facts(), BTreeMap::new())),
            Known::Done(key, action, outcome) => Some((key, action.facts(), outcome)),
        });
        Ok(resolved.collect())
    }
}

/// The records of the wanted steps whose inputs are known and that `state` knows.
fn steps(
    lowered: &Lowered,
    resolved: &[Resolved],
    state: impl Fn(StepId) -> Option<(StepState, Duration)>,
) -> Vec<StepRecord> {
    let mut records: Vec<StepRecord> = Vec::new();
    let mut places: BTreeMap<StepId, usize> = BTreeMap::new();
    for id in lowered.plan.wanted() {
        let (Some(step), Some(Some((key, facts, gave)))) = (lowered.plan.steps.get(id.0), resolved.get(id.0)) else {
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
