//! What `brc-agent` does, apart from talking.
//!
//! *Takes* the files of the machine below a root folder, and what device-mapper answers. *Gives* a [`Status`], as
//! text or JSON. *Promises*: nothing is changed; what cannot be read is said with its reason, and never guessed;
//! every file has a limit. *Does not know* arguments, standard output or exit codes: those are the program's.
//!
//! Reading is apart from judging: only [`Files`] and [`device_mapper`] touch the machine, all other modules take
//! text or bytes.

pub mod block_device;
pub mod device_mapper;
mod files;
pub mod loader;
pub mod mapped_target;
pub mod mount;
mod report;
mod status;
pub mod verity;

pub use files::{FileError, Files};
pub use report::{json, text};
pub use status::{Ask, Data, Known, Status, Unknown};
