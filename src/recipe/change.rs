//! Changes of what is stated elsewhere: `override "runc" { … }`.

use super::{
    ComponentItem, Guarded, KernelItem, Name, Origin, PackagesItem, Span, Spanned,
    decode::{Cursor, Reader},
    names::{Kind, Space},
};

/// A change of something that is stated elsewhere: `override "runc" { version "1.2.6"; upstream sha256="…" }`. Its block is
/// that of what it changes; lists append, single values replace, and what is not said stays. One that changes nothing
/// is a warning.
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

impl Override {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let target = cursor.text(reader, "the name of a component");
        let target = target.and_then(|name| reader.reference(&name, Space::Component));
        let nodes = cursor.block();
        let target = target?;
        let change = match reader.names.kind(Space::Component, &target)? {
            Kind::Packages => Change::Packages(PackagesItem::read_all(reader, nodes)),
            Kind::Kernel => Change::Kernel(KernelItem::read_all(reader, nodes)),
            _ => Change::Component(ComponentItem::read_all(reader, nodes)),
        };
        Some(Override { target, change, origin: reader.origin, span: cursor.node.span })
    }
}
