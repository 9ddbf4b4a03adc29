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
mod pin;
mod placing;
mod stated;
mod upstream;
mod wanted;

pub use condition::Situation;
pub use fetched::{Fetched, FetchedWhat, Manifests};
pub use flat::{Flat, FlatComponent, FlatKernel, FlatKernelSource, FlatPackage, FlatToolset, Replaced, Serves};
pub use flatten::{flatten, flatten_with};

pub use crate::recipe::{ArtifactCompression, ArtifactKind};
pub use image::{
    Artifact, BuildRecipe, BuildStep, Component, Dropped, Finish, Growth, Image, Initramfs, Install, Kernel,
    KernelSource, Layout, Package, Placed, Role, Sysroot, Toolset, User, What,
};
pub use impossible::kernel_command_line;
pub use pin::pin;
pub use stated::{Stated, StatedAccount, StatedUnit, UnitVerb, template_of};
pub use upstream::{DebianSource, DebianSourceFile, SourceTree, Upstream, UrlUpstream};
pub use wanted::{image_closure, kernel_closure, origin, sysroot_closure, tool_closure, wanted};
