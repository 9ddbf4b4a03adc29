//! Why there is no lock: an archive, or a file of it, is refused, or recipes want what cannot be had.

use super::report::Problem;

/// A file of an archive is not what the pinned keys vouch for, or not one that brc reads (exit 4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of `{archive}` is refused: expected {expected}, found {found}; {next}")]
pub struct ArchiveError {
    /// The archive's name, and the suite's where one is concerned: `debian trixie`.
    pub archive: String,
    /// The file: `InRelease`, `main/binary-amd64/Packages.xz`, a pool path.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What the person can do.
    pub next: String,
}

/// An archive, or a file of it, is refused: what was expected and found, and what comes next.
pub(super) fn refuse(archive: &str, what: &str, expected: &str, found: String, next: &str) -> LockError {
    LockError::Archive(Box::new(ArchiveError {
        archive: archive.to_owned(),
        what: what.to_owned(),
        expected: expected.to_owned(),
        found,
        next: next.to_owned(),
    }))
}

/// Locking ended without a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The archive is not what the keyring vouches for (exit 4).
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError>),
    /// Recipes want what cannot be had together; every problem at once (exit 2).
    #[error("{}", problems(.0))]
    Unmet(Vec<Problem>),
    /// The caller gave a file that was not asked for, or went on before it had given all (our bug, exit 70).
    #[error("`{path}` was not expected now")]
    OutOfTurn {
        /// The file.
        path: String,
    },
}

fn problems(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
