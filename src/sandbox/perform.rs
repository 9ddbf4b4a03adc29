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
    access::NetworkAccess,
    changed::changed,
    environment, inputs,
    linux::{self, Access, Bind, Root, SpawnError, Spec, Stage, Status, Streams, Terminal, View, Waited},
    log::Log,
    output::{OutputError, Taker},
    probe::Incapable,
    product::{self, ProductError},
    scratch::{Layering, Scratch},
    stdin,
    stray::strays,
    watch::{Over, Watch},
};
use crate::{
    content::{ArchiveError, Conflict, Digest, RelPath, Tree, counted},
    plan::{Failure, Fault, Network, Outcome, Output, Performer, Progress, Request, Run, Stdin},
    store::{Checkout, Store, StoreError, remove_all},
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
                product::inspect(taker, product, &path.on(&upper), &tree, &inputs)?;
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
        Some(_) => Err(ProductError::Stray { paths: found.named, count: found.count }.into()),
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

/// The last lines that a command printed, each indented on its own line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail(pub Vec<String>);

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("\n  (it printed nothing)");
        }
        self.0.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// How a command ended, for people.
struct Ending(Status);

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Status::Exited(code) => write!(f, "exited with {code}"),
            Status::Signalled(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// How often a network was tried that is not there, for people.
struct Tries(u64);

impl std::fmt::Display for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " and tried the network, which a build does not have ({count} packets had no way out)"),
        }
    }
}

/// A run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The command is missing or not an absolute path.
    #[error("the command `{program}` is not an absolute path inside the sandbox")]
    NoProgram { program: String },
    /// There is nothing to open a shell with.
    #[error("no input brings `/bin/sh` or `/bin/bash`")]
    NoShell,
    /// An input or output lies where the sandbox has something of its own.
    #[error("`{path}` cannot be an input or output: the sandbox has its own /dev, /proc, /run and /tmp")]
    Covered { path: RelPath },
    /// An output lies behind a link.
    #[error("the output `{path}` lies behind the link `{link}` of an input; name its target instead")]
    ThroughLink { path: RelPath, link: RelPath },
    /// Two inputs want the same path.
    #[error("{}", Conflict::told(conflicts))]
    Conflict { conflicts: Vec<Conflict> },
    /// The command failed.
    #[error(
        "`{program}` {}{}; its last lines:{tail}\nthe whole log: `{}`",
        Ending(*.status), Tries(*.network_tries), .log.display()
    )]
    Ended { program: String, status: Status, network_tries: u64, tail: Tail, log: PathBuf },
    /// The command took too long.
    #[error("the command did not end within {} and was killed; its last lines:{tail}\nthe whole log: `{}`", counted(*seconds, "second"), .log.display())]
    TimedOut { seconds: u64, tail: Tail, log: PathBuf },
    /// The command ended in time, but left more than could be taken in the time that was left.
    #[error(
        "the outputs could not be taken within the {seconds} seconds that the step has, its command included: leave less \
         in them"
    )]
    TookTooLong { seconds: u64 },
    /// What was fetched is something else than what was locked.
    #[error(
        "what was fetched is not what `brc.lock` states: expected the tree {expected}, found {found}; if upstream \
         changed it on purpose, `brc update` with the name of the component locks it anew, else do not trust it"
    )]
    Unexpected { expected: Digest, found: Digest },
    /// A command that fetches failed.
    #[error(
        "nothing was fetched: `{program}` {}; its last lines:{tail}\nthe whole log: `{}`",
        Ending(*.status), .log.display()
    )]
    Unfetched { program: String, status: Status, tail: Tail, log: PathBuf },
    /// There is no network.
    #[error(
        "what is fetched here is neither in the store nor in a vendored folder, and `--offline` forbids to fetch it: \
         run once without, or `brc vendor`"
    )]
    Offline,
    /// The user stopped it.
    #[error("the run was stopped")]
    Cancelled,
    /// The command could not be started in its sandbox.
    #[error("the command cannot be started")]
    Start { source: SpawnError },
    /// The sandbox could not be made.
    #[error("there is no sandbox for the command")]
    Sandbox { source: Incapable },
    /// What the command reads could not be had.
    #[error("the standard input of the command could not be written")]
    Input { source: ArchiveError },
    /// What the command left cannot be taken.
    #[error("the output `{name}` cannot be taken")]
    Output { name: String, source: OutputError },
    /// The output cannot become part of an image.
    #[error("the output is refused")]
    Product {
        #[from]
        source: ProductError,
    },
    /// The store failed.
    #[error("the inputs or outputs of a run cannot be had")]
    Store {
        #[from]
        source: StoreError,
    },
    /// The log could not be written.
    #[error("the log `{}` cannot be written", .path.display())]
    Log { path: PathBuf, source: io::Error },
    /// The folders of a run could not be made or kept.
    #[error("the folder `{}` of a run cannot be made", .path.display())]
    Scratch { path: PathBuf, source: io::Error },
    /// A pipe or thread of ours failed.
    #[error("the command's input and output cannot be connected")]
    Plumbing { source: io::Error },
}

impl From<SpawnError> for RunError {
    fn from(source: SpawnError) -> Self {
        match source {
            SpawnError::Make { stage: Stage::Command | Stage::Folder, .. } => RunError::Start { source },
            source => RunError::Sandbox { source: source.into() },
        }
    }
}

impl RunError {
    /// What a person can do about it.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            RunError::Ended { network_tries: 1.., .. } => Some(
                "have what it fetches locked: `url`, `git`, `debian-source`, `crates` or `go-module` in `upstream`, or \
                 tell the step to do without",
            ),
            _ => None,
        }
    }

    /// The same error; when the store was told to stop because the run was over, told as why it was.
    fn told(self, run: &Run<Digest>, watch: &Watch<'_>) -> Self {
        match (self.in_store(), watch.over()) {
            (Some(StoreError::Stopped), Some(Over::TimedOut)) => RunError::TookTooLong { seconds: run.timeout_seconds },
            (Some(StoreError::Stopped), _) => RunError::Cancelled,
            _ => self,
        }
    }

    /// Whether the files of the run are kept, so that a shell can look at them: its command did not do what it was to.
    pub fn keeps_files(&self) -> bool {
        matches!(self, RunError::Ended { .. } | RunError::Unfetched { .. } | RunError::TimedOut { .. })
    }

    /// The store's error while outputs were taken, whoever needed it.
    fn in_store(&self) -> Option<&StoreError> {
        match self {
            RunError::Store { source }
            | RunError::Output { source: OutputError::Store { source }, .. }
            | RunError::Product { source: ProductError::Store { source } } => Some(source),
            _ => None,
        }
    }

    /// Whose fault it is.
    fn fault(&self) -> Fault {
        if let Some(source) = self.in_store() {
            return source.fault();
        }
        match self {
            RunError::Cancelled => Fault::Cancelled,
            // The store's errors come to the archive through a reader.
            RunError::Input { source: ArchiveError::Content { source, .. } } => {
                let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
                inner.map_or(Fault::Machine, StoreError::fault)
            }
            RunError::Input { source: ArchiveError::Write { .. } }
            | RunError::Product { source: ProductError::Read { .. } }
            | RunError::Sandbox { .. }
            | RunError::Log { .. }
            | RunError::Scratch { .. }
            | RunError::Plumbing { .. }
            | RunError::Offline => Fault::Machine,
            RunError::Unexpected { .. } | RunError::Unfetched { .. } => Fault::Outside,
            _ => Fault::Build,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_is_never_the_builds_fault_whoever_needed_it() {
        let full = || StoreError::Full {
            action: "write",
            path: PathBuf::from("/x"),
            source: io::ErrorKind::StorageFull.into(),
        };
        let lost = || StoreError::Missing { digest: Digest::of(b"x") };
        let content = |error: StoreError| {
            let source = ArchiveError::Content { path: RelPath::ROOT, source: io::Error::other(error) };
            RunError::Input { source }
        };
        let output = |source| RunError::Output { name: "tree".to_owned(), source: OutputError::Store { source } };
        let ways: [&dyn Fn(StoreError) -> RunError; 4] =
            [&|source| source.into(), &output, &|source| ProductError::Store { source }.into(), &content];
        for way in ways {
            assert_eq!(way(full()).fault(), Fault::Machine, "{:?}", way(full()));
            assert_eq!(way(lost()).fault(), Fault::Damaged, "{:?}", way(lost()));
        }
    }
}
