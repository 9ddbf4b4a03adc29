//! What `brc-update` does, apart from talking.
//!
//! *Takes* a repository of updates by The Update Framework, and the disk of the running machine. *Gives* what may be
//! taken and when; on request it puts it into the slot that does not run. *Promises*: nothing is believed that the
//! repository's roles have not signed; the running slot is never touched; what was begun and cut off is begun again.
//! *Does not know* arguments, standard output or exit codes.
//!
//! What is done to the disk, and in which order, says `brc_contract::update`; [`Target`] is the port that does it.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at files and answer on sockets"))]

mod apply;
mod device;
mod hash_tree;
mod loader;
mod machine;
mod report;
mod repository;
mod transport;
mod wishes;

pub use apply::{ApplyError, Source, Target, apply};
pub use device::{Device, DeviceError};
pub use hash_tree::TreeError;
pub use loader::{LoaderError, Renewed};
pub use machine::{CheckError, Found, Machine, Mended, Refusal, Update};
pub use report::{ReportError, report};
pub use repository::{Clock, Repository, RepositoryError, Settings};
pub use wishes::WishError;
