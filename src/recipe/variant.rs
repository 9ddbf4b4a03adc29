//! Variants: what is composed into an image.

use brc_contract::Architecture;

use super::{Guarded, Item, Name, Override, Span, Spanned};

/// The platforms that a variant can be for. `qemu` is the default.
pub const PLATFORMS: [&str; 6] = ["qemu", "aws", "azure", "gce", "metal", "vmware"];

/// A variant: `variant "acme-node" { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its name, `[a-z0-9-]{1,24}`.
    pub name: Spanned<Name>,
    /// Its version, `[0-9A-Za-z.~^]{1,16}`; not inherited. Without one it is only there to be extended.
    pub version: Option<Spanned<String>>,
    /// The variants that it builds on.
    pub extends: Vec<Spanned<Name>>,
    /// The architectures that it is for; the parents' when empty.
    pub architectures: Vec<Spanned<Architecture>>,
    /// The platform that it is for, of [`PLATFORMS`]; the parents' when not said, then `qemu`.
    pub platform: Option<Spanned<String>>,
    /// Features that it turns on or off.
    pub features: Vec<FeatureSetting>,
    /// Everything else that its block says, in order.
    pub items: Vec<Guarded<VariantItem>>,
    /// The whole node.
    pub span: Span,
}

/// A feature that a recipe may ask about: `feature "debug" "a console on the serial port" on=#false`.
///
/// Stated at top level or in a variant; every set sees every feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: Spanned<String>,
    /// What it does.
    pub sentence: Spanned<String>,
    /// Whether it is on where no variant says anything.
    pub default: Switch,
}

/// What a variant says about a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSetting {
    /// The feature.
    pub name: Spanned<String>,
    /// On or off.
    pub switch: Spanned<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `#true`
    On,
    /// `#false`
    Off,
}

/// One node of a variant's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantItem {
    /// `include "runc" …`: components, package groups and the kernel.
    Include(Vec<Spanned<Name>>),
    /// `remove "runc" …`: applied last.
    Remove(Vec<Spanned<Name>>),
    /// `kernel-arg-remove "quiet"`: applied last; the word as it was added, or up to its `=`.
    KernelArgumentRemove(Spanned<String>),
    /// `tool "erofs" "erofs-tools"`: who plays a part in making the image.
    Tool(Tool),
    /// `layout "ab" { … }`
    Layout(Layout),
    /// `settings { motd "acme" }`: one leaf each.
    Setting(Setting),
    /// `budget root="400MiB"`: the most the compressed root may have.
    Budget(Spanned<Bytes>),
    /// `artifact "raw" compress="zstd"`
    Artifact(Artifact),
    /// `override "runc" { … }`: for this variant and its heirs.
    Override(Override),
    /// What components may bring too.
    Common(Item),
}

/// Who plays a part in making the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The part: `erofs`, `finish`, `boot`.
    pub role: Spanned<String>,
    /// The component or package group.
    pub component: Spanned<Name>,
}

/// The disk's layout. What one variant leaves open its parents may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Which layout.
    pub kind: Spanned<LayoutKind>,
    /// `slot max="1GiB"`: the size of one slot's root partition.
    pub slot: Option<Spanned<Bytes>>,
    /// `esp size="256MiB"`
    pub esp: Option<Spanned<Bytes>>,
    /// `data fs="xfs" grow=#true`
    pub data: Option<Data>,
}

/// The layouts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutKind {
    /// Two slots, an ESP, data created on first boot.
    Ab,
}

/// The data partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Its file system; ext4 when it is not said.
    pub file_system: Option<Spanned<FileSystem>>,
    /// Whether it grows with the disk.
    pub grow: Option<Spanned<Switch>>,
    /// The node.
    pub span: Span,
}

/// The file systems that a data partition can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// `ext4`
    Ext4,
    /// `xfs`
    Xfs,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The words from the outermost node inward.
    pub path: Vec<String>,
    /// Its values; one for most.
    pub values: Vec<Spanned<SettingValue>>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `#true` or `#false`
    Switch(Switch),
}

/// A file that leaves brc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Which form.
    pub kind: Spanned<ArtifactKind>,
    /// How it is compressed; not at all when it is not said.
    pub compression: Option<Spanned<ArtifactCompression>>,
}

/// The forms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// The disk as it is.
    Raw,
}

/// How an artifact is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactCompression {
    /// Not at all.
    Plain,
    /// As one zstd stream.
    Zstd,
}

/// A number of bytes, written `400MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);
