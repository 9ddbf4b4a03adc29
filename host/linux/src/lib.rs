//! What the programs inside images ask the kernel of the machine.
//!
//! *Takes* paths below a root folder, devices and tables. *Gives* files, each read with a limit, and what
//! device-mapper answers. *Promises*: only [`Files`] and [`device_mapper`] touch the machine, all other modules take
//! text or bytes; only `device_mapper` has `unsafe`, and only its `create`, `load` and `activate` change anything.
//! *Does not know* who asks.

pub mod block_device;
pub mod device_mapper;
mod files;
pub mod mapped_target;

pub use files::{FileError, Files};
