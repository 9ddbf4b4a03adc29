//! The door of a machine that runs: whoever started it looks inside.
//!
//! brc stands between the machine and those who look in, each of them a process of the same user: their sessions go over one
//! port of the machine, and nobody of them is trusted with those of another, nor the machine with anything.

mod keeper;
mod place;
mod sessions;
mod visitor;

pub(super) use keeper::Keeper;
pub use place::{is_machine_name, running};
pub use visitor::{Input, VisitError, Visitor};

/// What stands before the port in QEMU's sandbox.
pub(super) const PORT: &str = "door";
