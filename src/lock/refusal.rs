//! Why an archive, or a file of it, is refused.

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
