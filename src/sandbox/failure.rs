//! Why a run has no outcome, and what helps.

use std::{io, path::PathBuf};

use super::{
    build_trace::BuildTraceError,
    linux::{SpawnError, Stage, Status},
    output::OutputError,
    probe::Incapable,
    watch::{Over, Watch},
};
use crate::{
    content::{ArchiveError, Conflict, Digest, RelPath, counted},
    plan::{Fault, Run},
    store::StoreError,
};

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
        source: BuildTraceError,
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
    pub(super) fn told(self, run: &Run<Digest>, watch: &Watch<'_>) -> Self {
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
            | RunError::Product { source: BuildTraceError::Store { source } } => Some(source),
            _ => None,
        }
    }

    /// Whose fault it is.
    pub(super) fn fault(&self) -> Fault {
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
            | RunError::Product { source: BuildTraceError::Read { .. } }
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
            [&|source| source.into(), &output, &|source| BuildTraceError::Store { source }.into(), &content];
        for way in ways {
            assert_eq!(way(full()).fault(), Fault::Machine, "{:?}", way(full()));
            assert_eq!(way(lost()).fault(), Fault::Damaged, "{:?}", way(lost()));
        }
    }
}
