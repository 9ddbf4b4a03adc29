//! Boots a disk image in QEMU with UEFI firmware, and watches what it prints.
//!
//! *Takes* a disk image, the stored tree of a tool set with QEMU and OVMF, and an [`BootOrder`]. *Gives* what the
//! machine's serial line says, as plain text, and how it [`Ended`]. *Promises*: the image is never written; QEMU
//! runs in a sandbox that shows it the tool set, the machine's disks and nothing else of the host, without a
//! network (with forwarded ports: with the host's, through QEMU's own filter, which lets only these ports of the
//! loopback in and nothing out); no process outlives the call. *Does not know* recipes, nor what an image should
//! print.

mod accelerator;
mod boot;
mod credential;
mod disk;
mod failure;
mod order;
mod process;
mod qemu;
mod terminal;
mod watch;
mod workplace;

pub use failure::BootError;
pub use order::{BootOrder, Disk, Forward, ParseForwardError, Restart};
pub use process::{Ended, Machine};
