//! What `brc-agent` does, apart from talking.
//!
//! *Takes* the files of the machine below a root folder, and what device-mapper and EC2's metadata service answer. *Gives* a
//! [`Status`], as text or JSON; the [`settings`] that count and the files that follow from them; an [`identity`]. *Promises*:
//! what cannot be read is said with its reason, and never guessed; every file has a limit; only [`first`],
//! [`settings::Files`] and what comes through the [`door`] change anything. *Does not know* arguments, standard output or exit codes: those are the program's.
//!
//! Reading is apart from judging: only what is handed in as [`Files`](brc_linux::Files), [`settings::Files`] and [`Ask`]
//! touches the machine, and what comes through the door; all other modules take text or bytes.

#[cfg(feature = "settings")]
pub mod api;
#[cfg(feature = "settings")]
pub mod data_disk;
pub mod disk;
#[cfg(feature = "settings")]
pub mod door;
#[cfg(feature = "settings")]
pub mod first;
#[cfg(feature = "settings")]
pub mod identity;
pub mod loader;
pub mod mount;
mod report;
#[cfg(feature = "settings")]
pub mod settings;
mod status;
#[cfg(feature = "settings")]
pub mod updates;
pub mod verity;

pub use report::{json, text};
pub use status::{Ask, Data, Known, Status, Unknown};
