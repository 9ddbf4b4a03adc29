//! What the user wrote, checked word by word.
//!
//! *Takes* the texts of KDL files by path, and what is known about other paths. *Gives* `Recipes`, or every
//! mistake of all files with its place and a suggestion, or what must be looked up first. *Promises*: no I/O;
//! no input makes it panic, hang or use much memory; every name in `Recipes` names something that is there.
//! *Does not know* which conditions hold (`graph`), which versions there are (`lock`), what is on the disk
//! (`compose` looks it up).

mod build_system;
mod change;
mod check;
mod checkout;
mod choice;
mod code;
mod component;
mod condition;
mod decode;
mod diagnostic;
mod format;
mod fragment;
mod health;
mod import;
mod item;
mod kernel;
mod kernel_argument;
mod kernel_package;
mod names;
mod number;
mod packages;
mod parse;
mod platform;
mod project;
mod read;
mod reference;
mod setting;
mod source;
mod span;
mod suggestion;
mod target;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod unit_name;
mod upstream;
mod user;
mod value;
mod variant;
mod versioned;
mod word;

pub use build_system::{BuildSystem, BuildSystemStep};
pub use change::{Change, Override};
pub use checkout::Checkout;
pub use code::Code;
pub use component::{Component, ComponentItem, InstallItem, Satisfies};
pub use condition::{Clause, Condition, Guarded, Key, Sense};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use format::{FormatError, format};
pub use fragment::{FragmentLine, read_fragment};
pub use health::{HealthCheck, HealthItem};
pub use import::{ImportedSet, Reference, Revision, SetSource};
pub use item::{
    Command, Content, DirectoryItem, DropIn, EmbeddedImage, Enablement, FileItem, Finish, Item, LinkItem, MadeFile,
    SetuidItem, TreeItem, UnitItem,
};
pub use kernel::{DebianSource, Kernel, KernelItem, Modules};
pub use kernel_package::{InitramfsItem, KernelPackage};
pub use packages::{Archive, Expiry, Package, Packages, PackagesDrop, PackagesItem, Reach, Reasoned, Suite};
pub use platform::PLATFORMS;
pub use project::{LOCAL_FILE, PROJECT_FILE, Recipes, Set};
pub use read::{Again, Reading, imported_sets, read};
pub use reference::Name;
pub use setting::{Setting, SettingValue};
pub use source::{FileGlob, LocalPath, NextFiles, Presence, SourcePath, SourceSet, line_and_column, one_line};
pub use span::{FileId, Span, Spanned};
pub use suggestion::nearest;
pub use target::{AwsTarget, Encrypt, Instance, Share, Target};
pub use template::{Brace, Template, TemplateError};
pub use upstream::{DebianUpstream, LanguageSet, Unpack, Upstream, UpstreamSource};
pub use user::{Owner, UserItem};
pub use value::{Origin, Switch};
pub use variant::{
    Artifact, ArtifactCompression, ArtifactKind, Bytes, Data, DataDisk, Feature, FeatureSetting, FileSystem, Layout,
    LayoutKind, Tool, Variant, VariantItem,
};
pub use versioned::{Versioned, no_version};
