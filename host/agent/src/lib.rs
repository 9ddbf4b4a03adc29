//! What `brc-agent` does, apart from talking.
//!
//! *Takes* the files of the machine below a root folder, and what device-mapper answers. *Gives* a [`Status`], as
//! text or JSON. *Promises*: nothing is changed; what cannot be read is said with its reason, and never guessed;
//! every file has a limit. *Does not know* arguments, standard output or exit codes: those are the program's.
//!
//! Reading is apart from judging: only what is handed in as [`Files`](brc_linux::Files) and [`Ask`] touches the machine, all modules
//! here take text or bytes.

pub mod disk;
pub mod loader;
pub mod mount;
mod report;
mod status;
pub mod verity;

pub use report::{json, text};
pub use status::{Ask, Data, Known, Status, Unknown};
