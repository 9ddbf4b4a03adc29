//! Boots a disk image in QEMU with UEFI firmware, and watches what it prints.
//!
//! *Takes* a disk image, the stored tree of a tool set with QEMU and OVMF, and an [`BootOrder`]. *Gives* what the
//! machine's serial line says, as plain text, how it [`Ended`], and [`Notice`]s while it runs; while one with a name runs, a
//! [`Visitor`] from another process looks inside. *Promises*: the image is
//! never written; QEMU runs in a sandbox that shows it the tool set, the machine's disks and nothing else of the host,
//! without a network (with forwarded ports: with the host's, through QEMU's own filter, which lets only these ports of
//! the loopback in and nothing out); what the machine reaches outside are the ports of the loopback that the order
//! names, carried by brc itself; no process and no thread outlives the call. *Does not know* recipes, nor what an
//! image should print.

mod accelerator;
mod boot;
mod credential;
mod disk;
mod door;
mod ec2;
mod ending;
mod failure;
mod forward;
mod nocloud;
mod notice;
mod order;
mod process;
mod proxy;
mod qemu;
mod service;
mod subnet;
mod terminal;
mod watch;
mod workplace;

pub use door::{Input, VisitError, Visitor, is_machine_name, running};
pub use ec2::Fault;
pub use failure::BootError;
pub use forward::{Forward, ParseForwardError, ParseReachError, Reach};
pub use notice::{Notice, Tell};
pub use order::{BootOrder, Cloud, DataDisk, Disk, Metadata, Restart};
pub use process::{Ended, Machine};
pub use watch::Tail;
