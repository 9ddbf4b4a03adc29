//! Archives of distribution packages, and groups of packages that are unpacked, never "installed".

use super::{Guarded, LocalPath, Name, Span, Spanned};
use crate::content::Glob;

/// A package archive: `archive "debian" { suite "trixie"; keyring "…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name.
    pub name: Spanned<Name>,
    /// Its suites, in order.
    pub suites: Vec<Suite>,
    /// The keyrings that sign it, at least one.
    pub keyrings: Vec<LocalPath>,
    /// The whole node.
    pub span: Span,
}

/// One suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name: `trixie-security`.
    pub name: Spanned<String>,
    /// The mirror that has it, where that is not the archive's name.
    pub mirror: Option<Spanned<String>>,
    /// Whether packages come from it without being asked for.
    pub reach: Reach,
    /// Whether an expired `Valid-Until` is taken.
    pub expiry: Expiry,
}

/// When packages come from a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whenever it has the highest version.
    Always,
    /// Only where a recipe names the suite: `only-when-named=#true`.
    OnlyWhenNamed,
}

/// What happens when a suite's index has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is refused.
    Refused,
    /// It is taken: `accept-expired=#true`.
    Accepted,
}

/// A group of packages: `packages "base" archive="debian" suite="trixie" { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    /// Its name.
    pub name: Spanned<Name>,
    /// The archive they come from.
    pub archive: Spanned<Name>,
    /// The suite they come from, with its updates and security.
    pub suite: Spanned<String>,
    /// What its block says, in order.
    pub items: Vec<Guarded<PackagesItem>>,
    /// The whole node.
    pub span: Span,
}

/// One node of a group's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackagesItem {
    /// `iproute2`, or `package "iproute2"`
    Package(Package),
    /// `without "debconf" reason="…"`: not followed, whatever depends on it.
    Without(Reasoned),
    /// `drop "/usr/share/doc/**"`: left out of the image.
    Drop(Vec<Spanned<Glob>>),
    /// `maintainer-scripts "libc6" reason="…"`: their scripts are accounted for.
    MaintainerScripts(Reasoned),
}

/// One package that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name in the archive.
    pub name: Spanned<String>,
    /// Exactly this version of it.
    pub version: Option<Spanned<String>>,
    /// Another suite than the group's.
    pub suite: Option<Spanned<String>>,
    /// A package that it says it depends on and that is not followed from here.
    pub without: Option<Spanned<String>>,
}

/// Packages and why something is so for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned {
    /// The packages.
    pub packages: Vec<Spanned<String>>,
    /// The reason, for people.
    pub reason: Spanned<String>,
}
