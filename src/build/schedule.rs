//! Which step runs when: what is needed, what is known, what is ready, what failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{BuildError, Event, JobServer, StepFailure, StepReport, failure::lost_object, lane::Lane};
use crate::{
    content::Digest,
    plan::{
        Action, Assemble, Failure, Fault, Fetch, Goal, Key, Outcome, Pack, Performer, Plan, Progress, Request, Run,
        Source, StepId,
    },
    store::{Memo, Store},
};

/// How long a thread waits at most before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// After how many looks at a step that another process performs that is told: about a second.
const QUIET_LOOKS: u32 = 10;
/// How long a step is thought to take that never ran here.
const UNKNOWN_STEP: Duration = Duration::from_secs(1);

/// Who performs each of the four instructions.
pub struct Performers<'a> {
    /// Performs `Fetch`.
    pub fetch: &'a dyn Performer<Fetch>,
    /// Performs `Run`.
    pub run: &'a dyn Performer<Run<Digest>>,
    /// Performs `Assemble`.
    pub assemble: &'a dyn Performer<Assemble<Digest>>,
    /// Performs `Pack`.
    pub pack: &'a dyn Performer<Pack<Digest>>,
}

impl Performers<'_> {
    pub(super) fn perform(&self, action: &Action<Digest>, request: &Request<'_>) -> Result<Outcome, Failure> {
        match action {
            Action::Fetch(fetch) => self.fetch.perform(fetch, request),
            Action::Run(run) => self.run.perform(run, request),
            Action::Assemble(assemble) => self.assemble.perform(assemble, request),
            Action::Pack(pack) => self.pack.perform(pack, request),
        }
    }
}

/// What the user wants of a build.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many processors are used at once, by all actions together; at least 1.
    pub jobs: usize,
    /// Whether steps that do not need a failed one still run.
    pub after_failure: AfterFailure,
}

/// What happens to the other steps when one failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// What runs is stopped.
    Stop,
    /// Everything that does not need the failed step is still done.
    KeepGoing,
}

/// What the workers share.
pub(super) struct Schedule<'a> {
    pub plan: &'a Plan,
    pub performers: Performers<'a>,
    pub store: &'a Store,
    pub options: &'a Options,
    pub job_server: JobServer,
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Set when what runs is to stop: by the user, or because a step failed.
    pub stop: AtomicBool,
    users: Vec<Vec<StepId>>,
    /// The longest time from the start of a step to the end of the build, as far as is known.
    weights: Vec<Duration>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    outcomes: BTreeMap<StepId, Outcome>,
    keys: BTreeMap<StepId, Key>,
    /// Steps that the goals need and that have no outcome yet.
    waiting: BTreeSet<StepId>,
    /// Steps whose inputs are known, by the kind of worker.
    ready: BTreeMap<Lane, BTreeSet<(Duration, StepId)>>,
    /// Keys being performed, for which step, and the equal steps that wait for it.
    running: BTreeMap<Key, (StepId, Vec<StepId>)>,
    /// Steps that another process performs, and how often that was seen.
    elsewhere: BTreeMap<StepId, u32>,
    /// Those of them that are looked at again when there is nothing else to do.
    postponed: BTreeSet<StepId>,
    /// Steps that were run again because what they gave was damaged; each only once.
    mended: BTreeSet<StepId>,
    /// Steps that met damage which was being mended for another; each is tried once more.
    retried: BTreeSet<StepId>,
    failures: Vec<StepFailure>,
    skipped: BTreeSet<StepId>,
    /// Set when a download failed: the others still end, so that everything that cannot be had is told at once.
    draining: bool,
    broken: Option<BuildError>,
}

/// What becomes of a step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterStep {
    /// It has no outcome.
    GivenUp,
    /// It runs once more.
    TriedAgain,
}

/// A step that can run now.
pub(super) struct Ready {
    pub id: StepId,
    pub action: Action<Digest>,
    pub report: StepReport,
}

/// What a build reached.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The goals' trees.
    pub goals: BTreeMap<Goal, Digest>,
    /// The keys of all steps that the goals need.
    pub keys: BTreeSet<Digest>,
}

impl<'a> Schedule<'a> {
    /// What the goals of the plan need, with nothing done yet.
    pub fn new(
        plan: &'a Plan,
        performers: Performers<'a>,
        store: &'a Store,
        options: &'a Options,
        job_server: JobServer,
        events: &'a (dyn Fn(Event) + Sync),
    ) -> Self {
        let needs: Vec<Vec<StepId>> = plan.steps.iter().map(|step| step.action.needs()).collect();
        let mut users = vec![Vec::new(); plan.steps.len()];
        for (user, needs) in needs.iter().enumerate() {
            for need in needs {
                users[need.0].push(StepId(user));
            }
        }
        let waiting = plan.wanted();
        let state = Mutex::new(State { waiting, ..State::default() });
        let weights = vec![UNKNOWN_STEP; plan.steps.len()];
        let (stop, changed) = (AtomicBool::new(false), Condvar::new());
        Schedule { plan, performers, store, options, job_server, events, stop, users, weights, state, changed }
    }

    /// Gives every step its outcome that is remembered, and finds what is ready.
    pub fn recall_all(&mut self) -> Result<(), BuildError> {
        let wanted: Vec<StepId> = self.lock().waiting.iter().copied().collect();
        // Plans are in an order in which each step can run, so one pass is enough.
        for id in &wanted {
            self.offer(*id)?;
        }
        let known = wanted.len() - self.lock().waiting.len();
        (self.events)(Event::Planned { wanted: wanted.len(), known });
        if known < wanted.len() {
            self.weigh();
        }
        Ok(())
    }

    /// Orders what is ready so that the longest chain of steps starts first.
    fn weigh(&mut self) {
        let mut weights = vec![Duration::ZERO; self.plan.steps.len()];
        for (index, step) in self.plan.steps.iter().enumerate().rev() {
            let after = self.users[index].iter().map(|user| weights[user.0]).max().unwrap_or_default();
            weights[index] = after + self.store.last_duration(&step.title()).unwrap_or(UNKNOWN_STEP);
        }
        let mut state = self.lock();
        for ready in state.ready.values_mut() {
            *ready = ready.iter().map(|(_, id)| (weights[id.0], *id)).collect();
        }
        drop(state);
        self.weights = weights;
    }

    /// Looks whether a step can run, is known already, or equals one that runs.
    ///
    /// Gives whether the step has its outcome now.
    fn offer(&self, id: StepId) -> Result<bool, BuildError> {
        let Some((action, key)) = self.resolve(id) else { return Ok(false) };
        let known = if action.is_remembered() { self.store.recall(key.digest()) } else { Ok(None) };
        let known = known.map_err(BuildError::Store)?;
        let mut state = self.lock();
        // Two inputs that end at the same time offer their user twice.
        if !state.waiting.contains(&id) {
            return Ok(false);
        }
        state.keys.insert(id, key);
        if let Some(outcome) = known {
            state.waiting.remove(&id);
            state.outcomes.insert(id, outcome);
            drop(state);
            (self.events)(Event::Reused(self.report(id, key)));
            return Ok(true);
        }
        if let Some((first, alike)) = state.running.get_mut(&key) {
            if *first != id && !alike.contains(&id) {
                alike.push(id);
            }
            return Ok(false);
        }
        state.running.insert(key, (id, Vec::new()));
        state.ready.entry(Lane::of(&action)).or_default().insert((self.weights[id.0], id));
        self.changed.notify_all();
        Ok(false)
    }

    /// The action with its inputs' digests and its key, if all inputs are known.
    fn resolve(&self, id: StepId) -> Option<(Action<Digest>, Key)> {
        let state = self.lock();
        let resolved = self.plan.steps[id.0].action.resolve_with_key(|source| match source {
            Source::Tree(digest) => Ok(*digest),
            Source::Output { step, output } => {
                state.outcomes.get(step).and_then(|outcome| outcome.get(output)).copied().ok_or(())
            }
        });
        drop(state);
        resolved.ok()
    }

    /// The next step for a worker, waiting for one; `None` when nothing is left to do.
    pub fn next(&self, lane: Lane) -> Option<Ready> {
        let mut state = self.lock();
        loop {
            let is_closed = state.draining && lane == Lane::Processor;
            if is_closed || state.is_over() || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let Some((_, id)) = state.ready.get_mut(&lane).and_then(BTreeSet::pop_last) else {
                if state.draining {
                    return None;
                }
                state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
                for id in std::mem::take(&mut state.postponed) {
                    let lane = Lane::of(&self.plan.steps[id.0].action);
                    state.ready.entry(lane).or_default().insert((self.weights[id.0], id));
                }
                continue;
            };
            drop(state);
            if let Some((action, key)) = self.resolve(id) {
                return Some(Ready { id, action, report: self.report(id, key) });
            }
            // What it needs was lost since it became ready. When that is made again, it is offered again.
            state = self.lock();
            let key = state.keys.get(&id).copied();
            let alike = key.and_then(|key| state.running.remove(&key)).map(|(_, alike)| alike).unwrap_or_default();
            drop(state);
            self.offer_all(alike);
            state = self.lock();
        }
    }

    /// Puts a step off that another process performs, and says so after a while. Whatever else is ready goes first.
    pub fn postpone(&self, ready: &Ready) {
        let mut state = self.lock();
        state.postponed.insert(ready.id);
        let looks = state.elsewhere.entry(ready.id).or_default();
        *looks += 1;
        let is_told = *looks == QUIET_LOOKS;
        drop(state);
        if is_told {
            let what = format!("another process that does `{}`", self.name(ready.id));
            (self.events)(Event::Progressed { step: ready.id, progress: Progress::Waiting(what) });
        }
    }

    /// Stops everything when the user does; comes back when the build is over.
    pub fn obey(&self, cancelled: &AtomicBool) {
        let mut state = self.lock();
        while !state.is_over() && !self.stop.load(Ordering::Relaxed) {
            let is_download = |id: &StepId| Lane::of(&self.plan.steps[id.0].action) == Lane::Network;
            // What another process downloads does not end here.
            let is_ours = |id: &StepId| is_download(id) && !state.postponed.contains(id);
            let is_drained = state.draining && !state.running.values().any(|(id, _)| is_ours(id));
            if is_drained || cancelled.load(Ordering::Relaxed) {
                self.stop.store(true, Ordering::Relaxed);
            }
            drop(state);
            if let Err(error) = self.job_server.balance() {
                self.broke(BuildError::JobServer(error));
            }
            state = self.lock();
            if state.is_over() {
                break;
            }
            state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Looks whether steps can run that may be able to now.
    fn offer_all(&self, ids: impl IntoIterator<Item = StepId>) {
        for id in ids {
            if let Err(error) = self.offer(id) {
                self.broke(error);
            }
        }
        self.changed.notify_all();
    }

    /// Takes the outcome of a step that ran and looks what can run now.
    pub fn finished(&self, ready: &Ready, outcome: Outcome) {
        let mut done = Vec::new();
        let mut state = self.lock();
        let alike = state.running.remove(&ready.report.key).map(|(_, alike)| alike).unwrap_or_default();
        for id in alike.into_iter().chain([ready.id]) {
            state.waiting.remove(&id);
            state.outcomes.insert(id, outcome.clone());
            done.push(id);
        }
        drop(state);
        while let Some(id) = done.pop() {
            for user in &self.users[id.0] {
                let waits = self.lock().waiting.contains(user);
                if !waits {
                    continue;
                }
                match self.offer(*user) {
                    Ok(true) => done.push(*user),
                    Ok(false) => {}
                    Err(error) => self.broke(error),
                }
            }
        }
        self.changed.notify_all();
    }

    /// Takes the failure of a step: what it lost is made again and it is tried once more, or everything that needs it
    /// is given up.
    pub fn failed(&self, ready: &Ready, failure: Failure) -> AfterStep {
        if let Some(object) = lost_object(failure.error.as_ref())
            && self.mend(ready, object)
        {
            return AfterStep::TriedAgain;
        }
        let mut state = self.lock();
        let alike = state.running.remove(&ready.report.key).map(|(_, alike)| alike).unwrap_or_default();
        let mut lost: Vec<StepId> = alike.into_iter().chain([ready.id]).collect();
        while let Some(id) = lost.pop() {
            if state.waiting.remove(&id) {
                state.skipped.insert(id);
                lost.extend(&self.users[id.0]);
            }
        }
        if failure.fault == Fault::Cancelled {
            return AfterStep::GivenUp;
        }
        let log = self.store.log_path(ready.report.key.digest());
        state.failures.push(StepFailure { step: ready.report.clone(), failure, log });
        drop(state);
        (self.events)(Event::Failed(ready.report.clone()));
        self.changed.notify_all();
        AfterStep::GivenUp
    }

    /// Makes the steps again that gave a lost object, directly or not; false when that was tried before.
    fn mend(&self, ready: &Ready, object: Digest) -> bool {
        let keys = match self.store.keys_naming(object) {
            Ok(keys) => keys,
            Err(error) => {
                self.broke(BuildError::Store(error));
                return true;
            }
        };
        let mut state = self.lock();
        let known = state.keys.iter().filter(|(id, key)| **id != ready.id && keys.contains(&key.digest()));
        let again: BTreeSet<StepId> = known.map(|(id, _)| *id).filter(|id| !state.mended.contains(id)).collect();
        if again.is_empty() {
            // Perhaps another step met the same damage first, and what both need is made again already.
            let needs = self.plan.steps[ready.id.0].action.needs();
            if !needs.iter().any(|need| state.mended.contains(need)) || !state.retried.insert(ready.id) {
                return false;
            }
        }
        let alike = state.running.remove(&ready.report.key).map(|(_, alike)| alike).unwrap_or_default();
        for id in &again {
            state.mended.insert(*id);
            state.outcomes.remove(id);
            state.waiting.insert(*id);
        }
        drop(state);
        if !again.is_empty() {
            keys.into_iter()
                .filter_map(|key| self.store.forget(key).err())
                .for_each(|e| self.broke(BuildError::Store(e)));
        }
        // Those whose inputs are whole run now; the others, and the failed step, when these have ended.
        self.offer_all(again.into_iter().chain(alike).chain([ready.id]));
        true
    }

    /// Ends a build of which a step failed: what runs is stopped, but a download that failed lets the others end.
    pub fn give_up(&self, lane: Lane) {
        match lane {
            Lane::Network => self.lock().draining = true,
            Lane::Processor => self.stop.store(true, Ordering::Relaxed),
        }
        self.changed.notify_all();
    }

    /// Stops everything for a reason that is no step's.
    pub fn broke(&self, error: BuildError) {
        self.lock().broken = Some(error);
        self.stop.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// The title of a step.
    pub fn name(&self, id: StepId) -> String {
        self.plan.steps[id.0].title()
    }

    fn report(&self, id: StepId, key: Key) -> StepReport {
        let step = &self.plan.steps[id.0];
        StepReport { id, component: step.component.clone(), stage: step.stage.clone(), key }
    }

    /// Whether something is left to do.
    pub fn has_work(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the plan's goals gave, or why one gave nothing; every worker has ended.
    pub fn finish(self) -> Result<Built, BuildError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.broken {
            return Err(error);
        }
        if !state.failures.is_empty() {
            return Err(BuildError::Steps { failures: state.failures, skipped: state.skipped.len() });
        }
        let mut goals = BTreeMap::new();
        for (goal, source) in &self.plan.goals {
            let tree = match source {
                Source::Tree(digest) => Some(*digest),
                Source::Output { step, output } => {
                    state.outcomes.get(step).and_then(|outcome| outcome.get(output)).copied()
                }
            };
            goals.insert(goal.clone(), tree.ok_or(BuildError::Cancelled)?);
        }
        Ok(Built { goals, keys: state.keys.values().map(Key::digest).collect() })
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() || self.broken.is_some()
    }
}
