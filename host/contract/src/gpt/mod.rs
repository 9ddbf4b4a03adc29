//! The GUID partition table (UEFI 2.10, section 5.3) as a machine that updates itself reads and changes it.
//!
//! *Takes* sectors, by way of a function that reads them. *Gives* the partitions, and changes of them as a list of
//! sectors to write, in an order in which one of the two copies is whole at every moment. *Promises*: no I/O; what is
//! not changed stays as it was, attributes and partitions of others too. *Does not know* what the partitions hold.

mod checksum;
mod copies;
mod header;
mod table;

pub(crate) use checksum::crc32;
#[cfg(test)]
pub(crate) use copies::tests;
pub use copies::{Copies, Step, Unreadable, Which};
pub use header::DiskSize;
pub use table::{Label, LabelError, Partition, Table, TableError};
