//! Performs `Action::Assemble`: a root tree, its dm-verity hash tree, a unified kernel image, an ESP, a disk.
//!
//! *Takes* trees from the store and a layout. *Gives* the parts of a bootable disk, and the disk. *Promises*: the
//! same inputs give the same bytes, whatever the number of threads or the time. *Does not know* where the trees come
//! from or what becomes of the disk.

mod disk;
mod esp;
mod extent;
mod fat;
mod pe;
mod perform;
mod root;
mod uki;
mod verity;

pub use perform::{AssembleError, Assembler};
