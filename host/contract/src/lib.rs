//! What the builder of an image and the host that runs it must agree on, written once.
//!
//! *Takes* and *gives* plain values. *Promises*: no I/O, no dependency but `serde` for what is written as JSON and `minijinja` for templates, each
//! a feature. *Does not know* who uses it.

mod architecture;
mod boot_entry;
pub mod command_line;
pub mod date;
pub mod door;
mod error_chain;
pub mod gpt;
mod guid;
mod image_name;
pub mod initramfs;
pub mod os_release;
pub mod partition;
pub mod settings;
mod slot;
pub mod update;
mod version;
pub mod well_known;

pub use architecture::Architecture;
pub use boot_entry::{BootEntry, EntryName, EntryNameError, Standing, Tries, boot_order};
pub use error_chain::error_chain;
pub use guid::{Guid, ParseGuidError};
pub use image_name::ImageName;
pub use slot::{NoSlots, Slot, SlotName, Slots};
pub use version::compare_versions;
