//! Builds of small plans by performers that only write to the store.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    content::{Digest, Entry, RelPath, Tree},
    plan::{
        Action, DebianPackage, Failure, Fault, Fetch, Goal, Input, Located, Network, Outcome, Output, Performer, Plan,
        Progress, Request, Run, Source, Step, StepId,
    },
    store::{Memo, Store, StoreError},
};

/// Fetches give a tree of one file, or fail when the package is called `gone…`; commands read the file of their input.
struct Fake<'a> {
    store: &'a Store,
    /// How many fetches, and how many commands, were performed.
    fetched: AtomicUsize,
    ran: AtomicUsize,
    /// Has commands read their inputs at the same time.
    together: Option<Barrier>,
}

impl<'a> Fake<'a> {
    fn new(store: &'a Store, together: usize) -> Self {
        let together = (together > 1).then(|| Barrier::new(together));
        Fake { store, fetched: AtomicUsize::new(0), ran: AtomicUsize::new(0), together }
    }
}

fn damaged(error: StoreError) -> Failure {
    Failure { fault: Fault::Damaged, error: error.into() }
}

impl Performer<Fetch> for Fake<'_> {
    fn perform(&self, fetch: &Fetch, _: &Request<'_>) -> Result<Outcome, Failure> {
        let Fetch::Debian(package) = fetch else { unreachable!("no plan here has one") };
        self.fetched.fetch_add(1, Ordering::SeqCst);
        if package.name.starts_with("gone") {
            return Err(Failure { fault: Fault::Outside, error: "gone".into() });
        }
        let mut tree = Tree::new();
        let blob = self.store.put(package.name.as_bytes()).map_err(damaged)?;
        let file = Entry::File { blob, size: package.name.len() as u64, executable: false };
        tree.insert(RelPath::new("file").unwrap(), file).unwrap();
        Ok(Outcome::from([("data".to_owned(), self.store.put_tree(&tree).map_err(damaged)?)]))
    }
}

impl Performer<Run<Digest>> for Fake<'_> {
    fn perform(&self, run: &Run<Digest>, _: &Request<'_>) -> Result<Outcome, Failure> {
        let first_time = self.ran.fetch_add(1, Ordering::SeqCst) < 2;
        if let Some(barrier) = self.together.as_ref().filter(|_| first_time) {
            barrier.wait();
        }
        for input in &run.inputs {
            let (file, _) = self.store.file_in(input.tree, &RelPath::new("file").unwrap()).map_err(damaged)?;
            self.store.read(file).map_err(damaged)?;
        }
        Ok(Outcome::from([("out".to_owned(), self.store.put_tree(&Tree::new()).map_err(damaged)?)]))
    }
}

/// Performs what no plan here has.
struct Nobody;

impl<A> Performer<A> for Nobody {
    fn perform(&self, _: &A, _: &Request<'_>) -> Result<Outcome, Failure> {
        unreachable!("no plan here has one")
    }
}

fn package(name: &str) -> Step {
    let located = Located { mirror: "m".to_owned(), path: name.to_owned() };
    let package =
        DebianPackage { name: name.to_owned(), sha256: crate::content::Sha256::of(name.as_bytes()), size: 1, located };
    Step { component: name.to_owned(), stage: "fetch".to_owned(), action: Action::Fetch(Fetch::Debian(package)) }
}

fn command(name: &str, input: Option<usize>, network: Network) -> Step {
    let input = input.map(|step| Input {
        owner: String::new(),
        tree: Source::Output { step: StepId(step), output: "data".to_owned() },
        at: RelPath::ROOT,
    });
    let run = Run {
        inputs: input.into_iter().collect(),
        command: vec![name.to_owned()],
        environment: BTreeMap::new().into(),
        directory: RelPath::ROOT,
        stdin: None,
        outputs: BTreeMap::from([("out".to_owned(), Output::Folder(RelPath::ROOT))]),
        network,
        uid: 0,
        architecture: brc_contract::Architecture::X86_64,
        processors: 1,
        timeout_seconds: 1,
        product: None,
    };
    Step { component: name.to_owned(), stage: "run".to_owned(), action: Action::Run(run) }
}

/// A plan whose goals are the only output of each of `goals`.
fn plan(steps: Vec<Step>, goals: &[usize]) -> Plan {
    let goal = |step: &usize| {
        let output = if matches!(steps[*step].action, Action::Fetch(_)) { "data" } else { "out" };
        Goal::output(StepId(*step), output)
    };
    let goals = goals.iter().map(goal).collect();
    Plan { steps, goals }
}

fn run(plan: &Plan, fake: &Fake<'_>, jobs: usize, cancelled: &AtomicBool) -> Result<Built, BuildError> {
    run_told(plan, fake, jobs, cancelled, &|_| {})
}

fn run_told(
    plan: &Plan,
    fake: &Fake<'_>,
    jobs: usize,
    cancelled: &AtomicBool,
    events: &(dyn Fn(Event) + Sync),
) -> Result<Built, BuildError> {
    let options = Options { jobs, after_failure: AfterFailure::Stop };
    let performers = Performers { fetch: fake, run: fake, assemble: &Nobody, pack: &Nobody };
    build(plan, performers, fake.store, &options, events, cancelled)
}

/// What the process with the claim does in the end.
enum Ending {
    Performed,
    GaveUp,
}

#[test]
fn what_another_process_performs_is_waited_for_while_other_steps_run() {
    for (ending, is_cancelled, ran) in
        [(Ending::Performed, false, 1), (Ending::GaveUp, false, 2), (Ending::GaveUp, true, 1)]
    {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let plan = plan(vec![command("a", None, Network::None), command("b", None, Network::None)], &[0, 1]);
        let action = plan.steps[1].action.resolve(|_| Err(())).expect("it takes nothing");
        let key = action.key().digest();
        let claim = store.claim(key).unwrap().unwrap();
        let (fake, cancelled) = (Fake::new(&store, 1), AtomicBool::new(false));
        let (did_other, waits) = (Barrier::new(2), Barrier::new(2));
        let watch = |event: Event| match event {
            Event::Finished { step, .. } if step.component == "a" => drop(did_other.wait()),
            Event::Progressed { step: StepId(1), progress: Progress::Waiting(what) } => {
                assert_eq!(what, "another process that does `b run`");
                waits.wait();
            }
            _ => {}
        };
        let built = std::thread::scope(|scope| {
            let build = scope.spawn(|| run_told(&plan, &fake, 1, &cancelled, &watch));
            // With one worker, which ran the other step although it had to wait for this one.
            did_other.wait();
            waits.wait();
            if is_cancelled {
                cancelled.store(true, Ordering::SeqCst);
                return build.join().unwrap();
            }
            if let Ending::Performed = ending {
                let outcome = Outcome::from([("out".to_owned(), store.put_tree(&Tree::new()).unwrap())]);
                store.remember(key, &outcome).unwrap();
            }
            drop(claim);
            build.join().unwrap()
        });
        assert_eq!(matches!(built, Err(BuildError::Cancelled)), is_cancelled, "{built:?}");
        assert_eq!(built.is_ok(), !is_cancelled, "{built:?}");
        assert_eq!(fake.ran.load(Ordering::SeqCst), ran);
    }
}

#[test]
fn a_failed_build_does_not_wait_for_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let fetching = Network::Fetching { expected: Some(Digest::of(b"tree")) };
    let plan = plan(vec![package("gone"), command("fetch", None, fetching)], &[0, 1]);
    let action = plan.steps[1].action.resolve(|_| Err(())).expect("it takes nothing");
    let _claim = store.claim(action.key().digest()).unwrap().unwrap();
    let failed = run(&plan, &Fake::new(&store, 1), 1, &AtomicBool::new(false));
    assert!(matches!(failed, Err(BuildError::Steps { .. })), "{failed:?}");
}

#[test]
fn damage_that_two_steps_meet_is_mended_once() {
    // One after the other, the second ready while the first has it mended; and both at the same time.
    for jobs in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let steps = vec![package("a"), command("b", Some(0), Network::None), command("c", Some(0), Network::None)];
        let cancelled = AtomicBool::new(false);
        let first = Fake::new(&store, 1);
        run(&plan(steps.clone(), &[0]), &first, jobs, &cancelled).unwrap();
        fs::remove_file(store.blob_path(Digest::of(b"a"))).unwrap();
        let second = Fake::new(&store, jobs);
        let built = run(&plan(steps, &[1, 2]), &second, jobs, &cancelled).unwrap();
        assert_eq!(built.goals.len(), 2);
        assert_eq!(second.fetched.load(Ordering::SeqCst), 1, "{jobs} jobs");
    }
}

#[test]
fn a_failed_build_names_every_package_that_is_gone_and_the_next_one_starts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("{}{number}", ["there", "gone"][number % 2])).collect();
    let steps: Vec<Step> = names.iter().map(|name| package(name)).collect();
    let goals: Vec<usize> = (0..20).collect();
    let cancelled = AtomicBool::new(false);
    let Err(BuildError::Steps { failures, .. }) = run(&plan(steps, &goals), &Fake::new(&store, 1), 1, &cancelled)
    else {
        panic!("a package that is gone was no failure");
    };
    assert_eq!(failures.len(), 10, "{failures:?}");
    assert!(!cancelled.load(Ordering::SeqCst), "nobody stopped anything");
    run(&plan(vec![package("a")], &[0]), &Fake::new(&store, 1), 1, &cancelled).unwrap();
}

#[test]
fn what_is_fetched_to_be_locked_is_fetched_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let cancelled = AtomicBool::new(false);
    for (expected, times) in [(None, 2), (Some(Digest::of(b"tree")), 1)] {
        let plan = plan(vec![command("fetch", None, Network::Fetching { expected })], &[0]);
        let fake = Fake::new(&store, 1);
        for _ in 0..2 {
            run(&plan, &fake, 1, &cancelled).unwrap();
        }
        assert_eq!(fake.ran.load(Ordering::SeqCst), times, "{expected:?}");
    }
}

/// Keeps the job server's pipe of each of two commands that run at the same time.
struct Piped<'a> {
    store: &'a Store,
    together: Barrier,
    pipes: std::sync::Mutex<Vec<std::path::PathBuf>>,
}

impl Performer<Run<Digest>> for Piped<'_> {
    fn perform(&self, _: &Run<Digest>, request: &Request<'_>) -> Result<Outcome, Failure> {
        let pipe = request.job_server.unwrap();
        assert!(pipe.exists());
        self.pipes.lock().unwrap().push(pipe.to_owned());
        self.together.wait();
        Ok(Outcome::from([("out".to_owned(), self.store.put_tree(&Tree::new()).unwrap())]))
    }
}

#[test]
fn no_two_commands_share_a_job_server() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let plan = plan(vec![command("a", None, Network::None), command("b", None, Network::None)], &[0, 1]);
    let piped = Piped { store: &store, together: Barrier::new(2), pipes: Default::default() };
    let performers = Performers { fetch: &Nobody, run: &piped, assemble: &Nobody, pack: &Nobody };
    let options = Options { jobs: 2, after_failure: AfterFailure::Stop };
    build(&plan, performers, &store, &options, &|_| {}, &AtomicBool::new(false)).unwrap();
    let pipes = piped.pipes.into_inner().unwrap();
    assert_eq!(pipes.len(), 2);
    assert_ne!(pipes[0], pipes[1]);
    assert!(pipes.iter().all(|pipe| !pipe.exists()));
}
