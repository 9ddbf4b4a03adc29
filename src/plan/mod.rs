//! Exactly what will be done, as data: actions, what they take from each other, their keys.
//!
//! *Takes* the resolved graph. *Gives* a `Plan`: steps in an order in which each can run. *Promises*: an
//! action spells out everything that its performer can see; its key covers all of that. *Does not know* how
//! anything is performed, nor recipes and conditions.

mod action;
mod goal;
pub mod identity;
mod inventory;
mod key;
#[cfg(test)]
mod key_tests;
pub mod layout;
mod lower;
mod package_url;
mod selection;
mod source;
mod step;
mod variables;
mod walk;

pub use action::{
    Action, Assemble, BootFile, BootRecord, BoundUki, DataDisk, DebianPackage, DebianSource, Disk, Esp, Extract, Fetch,
    Initramfs, Input, Located, Manifest, Modules, Named, Network, Outcome, Output, Pack, PackagedKernel, Product,
    Replaced, Root, RootLayer, Run, SignedModules, Slot, SourceArchive, Stdin, Uki, UrlFile, Verity, Visible, Zstd,
};
pub use goal::{Goal, ImagePart};
pub use inventory::{Part, PartRole, PartSource, inventory};
pub use key::{Fact, Facts, Key};
pub use lower::{HOST_FILES_OWNER, LocalFile, Locals, LowerError, Lowered, lower};
pub use selection::{NoStepOf, is_called};
pub use source::{Source, StepId};
pub use step::{Failure, Performer, Plan, Progress, Request, Step};
pub use variables::Variables;
pub use walk::FileOf;

pub use crate::content::Fault;
