//! Components: what is built from source, and what only brings files or needs others.

use super::{Command, Guarded, Item, LocalPath, Name, Owner, Span, Spanned, Template};
use crate::content::{RelPath, Sha256};

/// A component: `component "runc" { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: Spanned<Name>,
    /// What its block says, in order. Scalars (version, licence, upstream): the last one that holds counts.
    pub items: Vec<Guarded<ComponentItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a component's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentItem {
    /// `version "1.2.5"`
    Version(Spanned<String>),
    /// `license "Apache-2.0"`: an SPDX expression.
    License(Spanned<String>),
    /// `upstream { url "…" sha256="…" }`
    Upstream(Upstream),
    /// `patch "a.patch" …`: laid over the unpacked upstream with `-p1`, in order.
    Patch(Vec<LocalPath>),
    /// `satisfies debian="runc" version="1.2.5"`
    Satisfies(Satisfies),
    /// `build-with "go" …`: in the sandbox only.
    BuildWith(Vec<Spanned<Name>>),
    /// `link-with "libseccomp" …`: in the sandbox, for the target architecture.
    LinkWith(Vec<Spanned<Name>>),
    /// `needs "libseccomp" …`: in the image.
    Needs(Vec<Spanned<Name>>),
    /// `step` or `script`
    Command(Command),
    /// `install FILE to=`: a file that the build left.
    Install(InstallItem),
    /// What variants may bring too.
    Common(Item),
}

/// Where the source comes from. In an override any part may be missing and then stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where to look, in order.
    pub urls: Vec<Spanned<Template>>,
    /// What the file must hash to; the lock finds out when it is not said.
    pub sha256: Option<Spanned<Sha256>>,
    /// How it is laid out: `unpack=#false` keeps the one file.
    pub unpack: Option<Spanned<Unpack>>,
    /// The node.
    pub span: Span,
}

/// How an upstream file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// As the content of the archive that it is.
    Archive,
    /// As the one file that it is.
    Keep,
}

/// A package of an archive that this component stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Satisfies {
    /// The package.
    pub package: Spanned<String>,
    /// The version that dependencies are compared with; the component's own when it is not said.
    pub version: Option<Spanned<String>>,
}

/// A file that the build left: `install "runc" to="/usr/bin/runc" mode=0o755`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallItem {
    /// The file, below the folder in which the steps ran.
    pub from: Spanned<Template>,
    /// Where it comes to stand: absolute.
    pub to: Spanned<Template>,
    /// Its mode, 12 bits; 0644 when it is not said, 0755 when the build made it executable.
    pub mode: Option<Spanned<u16>>,
    /// Its owner; root when it is not said.
    pub owner: Option<Spanned<Owner>>,
    /// The paths that it may take from another owner.
    pub replaces: Vec<Spanned<RelPath>>,
}
