//! What the programs inside images ask the kernel of the machine.
//!
//! *Takes* paths below a root folder, devices and tables. *Gives* files, each read with a limit, what device-mapper
//! answers, and copies of files and folders ([`copied`], which brc has at its end of the door too). *Promises*: only
//! [`Files`], [`copied`], [`write_whole`], [`device_mapper`] and [`nvme`] touch the machine, all other modules take text or
//! bytes; only the last two have `unsafe`; only `device_mapper`'s `create`, `load` and `activate`, a file that is written whole and a copy that is
//! received change anything.
//! *Does not know* who asks.

pub mod block_device;
pub mod copied;
pub mod device_mapper;
mod files;
pub mod mapped_target;
pub mod nvme;
mod whole_file;

pub use files::{FileError, Files};
pub use whole_file::write_whole;
