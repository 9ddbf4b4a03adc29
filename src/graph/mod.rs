//! Which components, for which target, in which relation. Conditions are decided here and nowhere else.
//!
//! *Takes* recipes, a variant's name, an architecture, the lock. *Gives* `Flat` (a variant with its parents
//! merged and its conditions decided), what of it must be locked, and `Image` (the same with every package
//! pinned). *Promises*: components come after those they need; what two parents disagree on is an error.
//! *Does not know* how anything is built, nor KDL.

mod component;
mod condition;
mod execution;
mod fetched;
mod find;
mod flat;
mod flatten;
mod image;
mod impossible;
mod kernel;
mod lock_name;
mod origin;
mod pin;
mod pinning;
mod placed;
mod placing;
mod role;
mod settings;
mod stated;
mod upstream;
mod wanted;

pub use condition::Situation;
pub use fetched::{Fetched, FetchedWhat};
pub use flat::{
    Flat, FlatComponent, FlatKernel, FlatKernelSource, FlatPackage, FlatToolset, Manifests, Replaced, Serves,
};
pub use flatten::{flatten, flatten_with};

pub use crate::recipe::{ArtifactCompression, ArtifactKind};
pub use image::{
    Artifact, BuildRecipe, BuildStep, Component, Dropped, Finish, Growth, Image, Initramfs, Kernel, KernelSource,
    Layout, Package, Sysroot, Toolset, User,
};
pub use impossible::kernel_command_line;
pub use lock_name::{image_closure, kernel_closure, sysroot_closure, tool_closure};
pub use origin::origin;
pub use pin::pin;
pub use placed::{Install, Placed, What};
pub use role::Role;
pub use settings::{has_first_program, made_files};
pub use stated::{Stated, StatedAccount, StatedUnit, UnitVerb, template_of};
pub use upstream::{DebianSource, DebianSourceFile, SourceTree, Upstream, UrlUpstream};
pub use wanted::wanted;
