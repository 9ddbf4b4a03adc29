//! Kernels that are built from source.

use super::{Guarded, Item, LocalPath, Name, Span, Spanned, Upstream};
use crate::content::Glob;

/// A kernel: `kernel "linux-6.12" { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: Spanned<Name>,
    /// What its block says, in order. Scalars (source, version, licence): the last one that holds counts.
    pub items: Vec<Guarded<KernelItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a kernel's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelItem {
    /// `debian "linux-source-6.12" suite="trixie" unpack="/usr/src/*.tar.xz"`
    Debian(DebianSource),
    /// `upstream { url "…" }`
    Upstream(Upstream),
    /// `version "6.12.9"`: needed with `upstream`; else the package's.
    Version(Spanned<String>),
    /// `license "GPL-2.0-only"`
    License(Spanned<String>),
    /// `config "base.config" …`: Kconfig fragments, later ones win.
    Config(Vec<LocalPath>),
    /// `build-with "kernel-tools"`
    BuildWith(Vec<Spanned<Name>>),
    /// `patch "a.patch" …`
    Patch(Vec<LocalPath>),
    /// `modules #false`: whether the modules come into the image.
    Modules(Spanned<Modules>),
    /// What components may bring too.
    Common(Item),
}

/// A kernel source that is a binary package holding an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianSource {
    /// The package.
    pub package: Spanned<String>,
    /// The archive it comes from.
    pub archive: Spanned<Name>,
    /// The suite it comes from.
    pub suite: Spanned<String>,
    /// The file inside the package that is unpacked.
    pub unpack: Spanned<Glob>,
}

/// What becomes of the modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modules {
    /// They come into the image; so it is when nothing is said.
    Installed,
    /// They are not even built.
    LeftOut,
}
