//! Finished images given to others: in repositories of updates, as The Update Framework has them (TUF 1.0), in a folder
//! that any server of files serves; and at AWS, as images of EC2 (`ami`).
//!
//! *Takes* finished images or parts of them, signing keys or credentials, connections, and the time. *Gives* a folder
//! with signed metadata and targets, or a snapshot and images at AWS. *Promises*: a reader of a repository sees the old
//! state or the new one, whenever it looks and wherever writing is cut off (`timestamp.json` is the switch); nothing is
//! signed that was not checked just now, and no signature is written that was not verified, whoever made it; what too
//! few have signed waits as a draft that no machine looks at; an upload that is cut off anywhere is gone on with, and
//! sends nothing twice that AWS has said to have. *Does not know* recipes, or how machines take updates: what they read
//! of it stands in `brc_contract::update`.
//!
//! Clients of the framework verify far more than a publisher has to, so theirs is a library (`tough`, in
//! `host/update`); what is written here is checked by it and by python-tuf (docs/design/updates.md).

pub mod ami;
pub mod aws;
mod canonical;
mod change;
mod check;
mod command;
mod draft;
mod folder;
mod key;
mod metadata;
mod public_key;
mod repository;
mod root;
mod serve;
#[cfg(test)]
mod tests;

pub use change::{Halt, Images, NewImage};
pub use check::{Stated, StatedImage, StatedRole, Waiting};
pub use folder::{FolderError, Part};
pub use key::{KeyError, Keys, SigningKey, new_keys};
pub use metadata::{Role, Tally, VerifyMetadataError};
pub use repository::{Repository, RepositoryError, Signers};
pub use root::{Policy, RootChange};
pub use serve::serve;
