//! Performs `Action::Assemble`: a root tree, its dm-verity hash tree, a unified kernel image, an ESP, a disk.
//!
//! *Takes* trees from the store and a layout. *Gives* the parts of a bootable disk, and the disk. *Promises*: the
//! same inputs give the same bytes, whatever the number of threads or the time. *Does not know* where the trees come
//! from or what becomes of the disk.

pub(crate) mod boot_record;
mod data_disk;
mod disk;
pub(crate) mod esp;
pub(crate) mod extent;
mod factory;
pub mod fat;
pub(crate) mod initramfs;
mod kernel_drop;
mod module;
mod oci_archive;
mod packaged_kernel;
pub mod pe;
mod perform;
mod root;
mod signature;
pub(crate) mod uki;
pub mod verity;

pub use data_disk::DataImage;
pub use extent::copy as copy_sparse;
pub use factory::FACTORY;
pub use oci_archive::{OciArchive, OciError};
pub use perform::{AssembleError, Assembler};
pub use root::{build as build_root, idle_drops};
pub use signature::{Certificate, CertificateError, SigningKey, SigningKeyError};
