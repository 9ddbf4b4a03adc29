//! What is wrong with a repository or a key, and whose matter it is: the exit code.

use crate::{
    cli::CliError,
    publish::{FolderError, KeyError, RepositoryError},
};

/// A key that does not do what is asked of it, with its exit code.
pub fn key_told(error: KeyError) -> CliError {
    match error {
        KeyError::Read { .. }
        | KeyError::NoKey { .. }
        | KeyError::NoPublicKey { .. }
        | KeyError::Description { .. }
        | KeyError::Elsewhere { .. }
        | KeyError::There { .. } => CliError::usage(&error),
        KeyError::Write { .. } | KeyError::Random => CliError::Machine(error.into()),
        KeyError::Command { .. } | KeyError::Signature { .. } => CliError::Outside(error.into()),
    }
}

/// A repository that does not, with its exit code.
pub fn told(error: RepositoryError) -> CliError {
    match error {
        RepositoryError::Key(error) => key_told(error),
        RepositoryError::None { .. }
        | RepositoryError::There { .. }
        | RepositoryError::NoKey { .. }
        | RepositoryError::OtherKey { .. }
        | RepositoryError::TooFew { .. }
        | RepositoryError::Threshold { .. }
        | RepositoryError::UnknownKey { .. }
        | RepositoryError::NotOffered { .. }
        | RepositoryError::Needed { .. }
        | RepositoryError::Draft { .. }
        | RepositoryError::OtherDraft { .. }
        | RepositoryError::Waits { .. }
        | RepositoryError::NothingWaits { .. }
        | RepositoryError::NothingSigned { .. }
        | RepositoryError::Unpublished { .. }
        | RepositoryError::Halfway { .. } => CliError::usage(&error),
        RepositoryError::Waves(_) => CliError::Usage(format!("`--wave`: {error}")),
        RepositoryError::Folder(FolderError::Write { .. } | FolderError::Encode(_)) => CliError::Machine(error.into()),
        RepositoryError::Metadata(_)
        | RepositoryError::NoOffers { .. }
        | RepositoryError::Root { .. }
        | RepositoryError::Folder(
            FolderError::Read { .. }
            | FolderError::Json { .. }
            | FolderError::NotListed { .. }
            | FolderError::Target { .. },
        ) => CliError::Outside(error.into()),
    }
}
