//! What `brc-early` does, apart from talking: the way from a kernel without modules to the root's own init.
//!
//! *Takes* a [`Machine`] and the arguments that the kernel gave. *Gives* nothing when all goes well, because then the
//! root's init runs in its place; otherwise a [`BootError`]. *Promises*: the root is mounted only behind the dm-verity
//! table that the kernel command line names, read-only; nothing is looked for longer than a minute. *Does not know*
//! system calls, the clock or the console: those are the machine's.

mod boot;
mod command_line;
mod machine;
mod partition;
mod running;

pub use boot::{BootError, COMMAND_LINE, Failed, boot};
pub use command_line::{CommandLineError, WantedRoot, what_follows};
pub use machine::{KernelFileSystem, Machine, ModuleError, ROOT, StatusError};
pub use partition::{MissingPartition, PartitionError, Partitions};
pub use running::Running;
