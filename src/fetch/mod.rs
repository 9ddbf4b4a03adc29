//! Performs `Fetch`: a locked upstream becomes a tree, checked before anything sees it.
//!
//! *Takes* what is wanted (a Debian package, a file by URL, an index of an archive), with the digest and size
//! that the lock states, or a recipe set (a commit of a git repository, an artifact of a registry), and the
//! mirrors, proxies and vendored folders that the caller found out. *Gives* bytes and trees in the store.
//! *Promises*: nothing that does not have the stated SHA-256 and size, or the name that a commit gives it, is
//! unpacked or kept; an archive or pack is read as hostile, within limits; a download that broke off goes on
//! where it stopped, also in the next run; a set cancel flag is obeyed within a second. *Does not know* the
//! environment, the host's files, recipes, what a package depends on, nor which packages are right (`lock`).

mod archive;
mod attempt;
mod bounded;
mod client;
mod deb;
mod debian_source;
mod download;
mod exchange;
mod failure;
mod git;
mod location;
mod mirror;
mod near;
mod oci;
mod parallel;
mod partial;
mod perform;
mod refusal;
mod request;
mod source;
mod transfer;
mod vendor;
mod watch;
mod zip;

pub use client::{Client, ClientConfig, ClientError, Connections, Network, Patience, Proxies, connections};
pub use deb::{Deb, unpack_deb};
pub use download::Downloaded;
pub use failure::{FetchError, Mismatch};
pub use git::{GitError, GitFormatError, GitLimits, GitRepository, ObjectName, read_git_pack};
pub use location::{Location, LocationError};
pub use mirror::{MirrorError, Mirrors};
pub use oci::{OciArtifact, OciError};
pub use perform::{Fetcher, MAX_URL_BYTES, PerformError};
pub use refusal::UnpackError;
pub use request::{Expect, Place, WantedFile};
pub use source::{AptSource, apt_sources};
pub use transfer::TransferError;
pub use watch::Watch;
