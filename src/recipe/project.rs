//! A project: which recipes there are, from which sets, and what is overridden.

use std::collections::BTreeMap;

use super::{
    Archive, Component, ComponentItem, Feature, Guarded, Kernel, KernelItem, Name, Packages, PackagesItem, SourcePath,
    Span, Spanned, Variant,
};

/// Everything that was read, checked word by word. Every [`Name`] in it names a thing that is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipes {
    /// The sets; the project's own is the first.
    pub sets: Vec<Set>,
    /// The package archives.
    pub archives: BTreeMap<Name, Archive>,
    /// The components. Components, package groups and kernels share one set of names.
    pub components: BTreeMap<Name, Component>,
    /// The package groups.
    pub packages: BTreeMap<Name, Packages>,
    /// The kernels.
    pub kernels: BTreeMap<Name, Kernel>,
    /// The variants.
    pub variants: BTreeMap<Name, Variant>,
    /// The features, by name.
    pub features: BTreeMap<String, Feature>,
    /// What is overridden everywhere, in the order in which it applies: a developer's own last.
    pub overrides: Vec<Override>,
}

/// A recipe set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name; empty for a project without `brc.kdl`.
    pub name: String,
    /// Its folder.
    pub root: SourcePath,
    /// The node that names or imports it, where there is one.
    pub span: Option<Span>,
}

/// A change of something that is stated elsewhere: lists append, scalars replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What is changed.
    pub target: Spanned<Name>,
    /// How.
    pub change: Change,
    /// Who wants it.
    pub origin: Origin,
    /// The whole node.
    pub span: Span,
}

/// What an override says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of a component.
    Component(Vec<Guarded<ComponentItem>>),
    /// Of a package group; a package that is already in it is replaced.
    Packages(Vec<Guarded<PackagesItem>>),
    /// Of a kernel.
    Kernel(Vec<Guarded<KernelItem>>),
}

/// Where an override comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A recipe.
    Recipe,
    /// `brc.local.kdl`: a developer's own, not committed.
    Local,
}
