//! What the builder of an image and the host that runs it must agree on, written once.
//!
//! *Takes* and *gives* plain values. *Promises*: no I/O, no dependencies. *Does not know* who uses it.

mod architecture;

pub use architecture::Architecture;
