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
mod step;
mod variables;

pub use action::{
    Action, Assemble, BootFile, BootRecord, BoundUki, Compression, DebianPackage, DebianSource, Disk, Esp, Extract,
    Fetch, FileOf, Initramfs, Input, Located, Manifest, Modules, Named, Network, Outcome, Output, Pack, PackagedKernel,
    Product, Raw, Replaced, Root, RootLayer, Run, SignedModules, Slot, SourceArchive, Stdin, Uki, UrlFile, Verity,
    Visible,
};
pub use goal::{Goal, ImagePart};
pub use inventory::{Part, PartRole, PartSource, inventory};
pub use key::{Fact, Facts, Key, facts, key};
pub use lower::{HOST_FILES_OWNER, LocalFile, Locals, LowerError, Lowered, lower};
pub use step::{Failure, Performer, Plan, Progress, Request, Source, Step, StepId};
pub use variables::Variables;

pub use crate::content::Fault;
