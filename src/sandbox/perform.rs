//! Performing a `Run`, from its inputs to its output trees.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    RunError, Tail,
    access::NetworkAccess,
    build_trace::{self, BuildTraceError},
    changed::changed,
    environment, inputs,
    linux::{self, Access, Bind, Root, Spec, Status, Streams, Terminal, View, Waited},
    log::Log,
    output::Taker,
    scratch::{Layering, Scratch},
    stdin,
    stray::strays,
    watch::Watch,
};
use crate::{
    content::{Digest, RelPath, Tree, counted},
    plan::{Failure, Network, Outcome, Output, Performer, Progress, Request, Run, Stdin},
    store::{Checkout, Store, remove_all},
};

/// Performs [`Run`] actions.
#[derive(Debug, Clone)]
pub struct Sandbox {
    store: Store,
    /// The program that [`linux::intercept`]s.
    executable: PathBuf,
    layering: Layering,
    /// Without one nothing is fetched.
    access: Option<NetworkAccess>,
}

impl Sandbox {
    /// A performer that keeps everything in `store`. `executable` calls [`linux::intercept`] first thing in its
    /// `main`; brc itself is `/proc/self/exe`.
    pub fn new(store: Store, executable: PathBuf) -> Self {
        Self { store, executable, layering: Layering::Overlay, access: None }
    }

    /// The same performer, keeping changes apart from inputs in this way. It turns to copies by itself where an
    /// overlay is refused.
    pub fn with_layering(self, layering: Layering) -> Self {
        Self { layering, ..self }
    }

    /// The same performer, with the host's network for the runs that fetch.
    pub fn with_network(self, access: NetworkAccess) -> Self {
        Self { access: Some(access), ..self }
    }

    /// Where the files of a run that failed are kept: the folder `upper` in it holds what the command wrote. It has
    /// the name of the log, without its extension.
    pub fn kept(&self, log: &Path) -> PathBuf {
        self.store.failed_dir(&log.file_stem().unwrap_or_default().to_string_lossy())
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn access(&self) -> Option<&NetworkAccess> {
        self.access.as_ref()
    }

    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    fn run(&self, run: &Run<Digest>, request: &Request<'_>) -> Result<Outcome, RunError> {
        inputs::check(run)?;
        if run.network != Network::None && self.access.is_none() {
            return Err(RunError::Offline);
        }
        remove_all(&self.kept(request.log)).map_err(|source| RunError::Log { path: request.log.to_owned(), source })?;
        let checkout = inputs::lay_out(&self.store, run)?;
        match self.run_in(run, &checkout, self.layering, request) {
            // Slower, but the same outcome.
            Err(RunError::Sandbox { source }) if source.is_overlay() && self.layering == Layering::Overlay => {
                self.run_in(run, &checkout, Layering::Copy, request)
            }
            result => result,
        }
    }

    fn run_in(
        &self,
        run: &Run<Digest>,
        checkout: &Checkout,
        layering: Layering,
        request: &Request<'_>,
    ) -> Result<Outcome, RunError> {
        let scratch = Scratch::new(&self.store, run, checkout.path(), layering)?;
        let spec = spec(run, scratch.root(checkout.path()), request.job_server, self.access());
        let mut log =
            Log::create(request.log).map_err(|source| RunError::Log { path: request.log.to_owned(), source })?;
        let watch = Watch::start(request.cancelled, Duration::from_secs(run.timeout_seconds));
        let result = self.execute(run, &spec, &mut log, request, &watch);
        if result.as_ref().is_err_and(RunError::keeps_files) {
            let kept = self.kept(request.log);
            scratch.keep(&kept).map_err(|source| RunError::Scratch { path: kept, source })?;
        } else if result.is_ok() {
            let outcome = self.capture(run, checkout, &scratch, &watch);
            return check_fetched(run, outcome.map_err(|error| error.told(run, &watch))?);
        }
        result.map(|()| Outcome::new())
    }

    /// Runs the command to its end, its output into the log.
    fn execute(
        &self,
        run: &Run<Digest>,
        spec: &Spec,
        log: &mut Log,
        request: &Request<'_>,
        watch: &Watch<'_>,
    ) -> Result<(), RunError> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(plumbing);
        let (printed, print) = pipe()?;
        let (input, archive) = match &run.stdin {
            Some(Stdin::ArchiveOf(tree)) => {
                let (reader, writer) = pipe()?;
                (reader, Some((self.store.tree(*tree)?, writer)))
            }
            None => (OwnedFd::from(File::open("/dev/null").map_err(plumbing)?), None),
        };
        let errors = print.try_clone().map_err(plumbing)?;
        let mut child = linux::spawn(&self.executable, spec, Streams { input, output: print, errors })?;
        // A command that waits for the rest of a broken archive may wait for ever (mkfs.erofs 1.8 does).
        let archive_broke = AtomicBool::new(false);
        let is_stopped = || request.is_cancelled() || archive_broke.load(Ordering::Relaxed);
        let (waited, followed, archived) = thread::scope(|scope| {
            let log = &mut *log;
            let follower =
                scope.spawn(move || log.follow(File::from(printed), &|line| (request.progress)(Progress::Line(line))));
            let archive_broke = &archive_broke;
            let archiver = archive.map(|(tree, pipe)| {
                scope.spawn(move || {
                    let written = stdin::stream(&self.store, &tree, environment::clock(run), pipe);
                    archive_broke.store(written.is_err(), Ordering::Relaxed);
                    written
                })
            });
            let waited = child.wait(Some(watch.left()), &is_stopped);
            // Both end: with the sandbox its ends of the pipes are gone.
            drop(child);
            (waited, follower.join(), archiver.map(thread::ScopedJoinHandle::join))
        });
        let lost_thread = |_| plumbing(io::Error::other("a thread panicked"));
        followed.map_err(lost_thread)?.map_err(|source| RunError::Log { path: request.log.to_owned(), source })?;
        if let Some(archived) = archived {
            archived.map_err(lost_thread)?.map_err(|source| RunError::Input { source })?;
        }
        let ended = match waited? {
            Waited::Ended(ended) => ended,
            Waited::Stopped => return Err(RunError::Cancelled),
            Waited::TimedOut => {
                let seconds = run.timeout_seconds;
                return Err(RunError::TimedOut { seconds, tail: Tail(log.tail()), log: request.log.to_owned() });
            }
        };
        if ended.owner_count > 0 {
            let note = format!("{} of owners, only pretended:", counted(ended.owner_count, "change"));
            let mut lines = std::iter::once(&note).chain(&ended.owners);
            lines.try_for_each(|line| log.note(line)).map_err(plumbing)?;
        }
        if ended.status == Status::Exited(0) {
            return Ok(());
        }
        let program = run.command.first().cloned().unwrap_or_default();
        let network_tries = ended.network_tries;
        let (status, tail, log) = (ended.status, Tail(log.tail()), request.log.to_owned());
        Err(match run.network {
            Network::None => RunError::Ended { program, status, network_tries, tail, log },
            Network::Fetching { .. } => RunError::Unfetched { program, status, tail, log },
        })
    }

    fn capture(
        &self,
        run: &Run<Digest>,
        checkout: &Checkout,
        scratch: &Scratch,
        watch: &Watch<'_>,
    ) -> Result<Outcome, RunError> {
        let (upper, taker) = (scratch.upper(), Taker { store: &self.store, watch });
        if run.product.is_some() {
            check_strays(run, checkout, scratch, watch)?;
        }
        let mut merged: Option<Tree> = None;
        let mut outcome = BTreeMap::new();
        for (name, output) in &run.outputs {
            let tree = match output {
                Output::Folder(path) => taker.folder(&upper, path),
                Output::Changed(path) => {
                    let inputs = match merged.take() {
                        Some(tree) => tree,
                        None => inputs::merged(&self.store, run)?,
                    };
                    let tree = changed(taker, scratch, checkout.path(), &inputs, path);
                    merged = Some(inputs);
                    tree
                }
            };
            let tree = tree.map_err(|source| RunError::Output { name: name.clone(), source })?;
            if let (Some(product), Output::Folder(path)) = (&run.product, output) {
                let inputs: Vec<Digest> = run.inputs.iter().map(|input| input.tree).collect();
                build_trace::inspect(taker, product, &path.on(&upper), &tree, &inputs)?;
            }
            outcome.insert(name.clone(), self.store.put_tree(&tree)?);
        }
        Ok(outcome)
    }
}

impl Performer<Run<Digest>> for Sandbox {
    fn perform(&self, run: &Run<Digest>, request: &Request<'_>) -> Result<Outcome, Failure> {
        self.run(run, request).map_err(|error| Failure { fault: error.fault(), error: Box::new(error) })
    }
}

/// Refuses what a component's build wrote where nobody takes it: it would be lost without a word.
fn check_strays(run: &Run<Digest>, checkout: &Checkout, scratch: &Scratch, watch: &Watch<'_>) -> Result<(), RunError> {
    let outputs = run.outputs.values().map(|output| match output {
        Output::Folder(path) | Output::Changed(path) => path.clone(),
    });
    let work: Vec<RelPath> = outputs.chain([run.directory.clone()]).chain(environment::home(run)).collect();
    let (upper, skeleton) = (scratch.upper(), scratch.skeleton());
    let found = strays(&upper, &[checkout.path(), &skeleton], &work, watch)?;
    match found.named.first() {
        Some(_) => Err(BuildTraceError::Stray { paths: found.named, count: found.count }.into()),
        None => Ok(()),
    }
}

/// Refuses what was fetched when it is not what was locked.
fn check_fetched(run: &Run<Digest>, outcome: Outcome) -> Result<Outcome, RunError> {
    let Network::Fetching { expected: Some(expected) } = run.network else { return Ok(outcome) };
    match outcome.values().find(|found| **found != expected) {
        Some(found) => Err(RunError::Unexpected { expected, found: *found }),
        None => Ok(outcome),
    }
}

fn plumbing(error: impl Into<io::Error>) -> RunError {
    RunError::Plumbing { source: error.into() }
}

/// What a run is to the kernel.
pub(super) fn spec(run: &Run<Digest>, root: Root, job_server: Option<&Path>, access: Option<&NetworkAccess>) -> Spec {
    let empty = run.outputs.values().filter_map(|output| match output {
        Output::Folder(path) => Some(path.as_str().to_owned()),
        Output::Changed(_) => None,
    });
    let jobs = job_server.map(|from| Bind {
        from: from.to_owned(),
        to: environment::JOB_SERVER.to_owned(),
        access: Access::Read,
    });
    let access = access.filter(|_| run.network != Network::None);
    let mut environment = environment::variables(run, job_server);
    for (name, value) in access.map(NetworkAccess::variables).unwrap_or_default() {
        environment.entry(name).or_insert(value);
    }
    Spec {
        root,
        empty: empty.collect(),
        binds: jobs.into_iter().chain(access.map(NetworkAccess::binds).unwrap_or_default()).collect(),
        network: if access.is_some() { linux::Network::Host } else { linux::Network::None },
        uid: run.uid,
        view: View::Fixed { processors: run.processors.max(1) },
        command: run.command.clone(),
        environment,
        directory: run.directory.as_str().to_owned(),
        terminal: Terminal::None,
    }
}
