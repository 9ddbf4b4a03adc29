//! Components and package groups: overrides applied, conditions decided.

use super::{
    Situation,
    flat::{FlatComponent, FlatPackage},
};
use crate::recipe::{Change, Component, ComponentItem, Guarded, Name, Override, Packages, PackagesItem};

/// A component with the overrides that name it.
pub(super) fn component(component: &Component, overrides: &[&Override], situation: &Situation) -> FlatComponent {
    let mut flat = FlatComponent::new(component.name.value.clone(), component.span);
    take_component(&mut flat, &component.items, situation);
    for change in changes(&component.name, overrides) {
        if let Change::Component(items) = change {
            take_component(&mut flat, items, situation);
        }
    }
    flat
}

/// A package group with the overrides that name it.
pub(super) fn packages(packages: &Packages, overrides: &[&Override], situation: &Situation) -> FlatComponent {
    let mut flat = FlatComponent::new(packages.name.value.clone(), packages.span);
    take_packages(&mut flat, packages, &packages.items, situation);
    for change in changes(&packages.name, overrides) {
        if let Change::Packages(items) = change {
            take_packages(&mut flat, packages, items, situation);
        }
    }
    flat
}

pub(super) fn changes<'a>(name: &Name, overrides: &'a [&'a Override]) -> impl Iterator<Item = &'a Change> {
    let name = name.clone();
    overrides.iter().filter(move |change| change.target.value == name).map(|change| &change.change)
}

fn take_component(flat: &mut FlatComponent, items: &[Guarded<ComponentItem>], situation: &Situation) {
    for guarded in situation.decide(items) {
        match guarded.item.clone() {
            ComponentItem::Version(version) => flat.version = Some(version),
            ComponentItem::License(license) => flat.license = Some(license),
            ComponentItem::Upstream(upstream) => {
                flat.upstream = Some(match flat.upstream.take() {
                    Some(old) => upstream.over(old),
                    None => upstream,
                });
            }
            ComponentItem::Patch(patches) => flat.patches.extend(patches),
            ComponentItem::Satisfies(satisfies) => flat.satisfies.push(satisfies),
            ComponentItem::BuildWith(names) => flat.build_with.extend(names),
            ComponentItem::LinkWith(names) => flat.link_with.extend(names),
            ComponentItem::SameVersion(packages) => flat.same_version.push(packages),
            ComponentItem::Needs(names) => flat.needs.extend(names),
            ComponentItem::Command(command) => flat.commands.push(command),
            ComponentItem::Drop(globs) => flat.build_drop.extend(globs),
            ComponentItem::Install(install) => flat.installs.push(install),
            ComponentItem::Common(item) => flat.items.push((item, guarded.span)),
        }
    }
}

fn take_packages(flat: &mut FlatComponent, group: &Packages, items: &[Guarded<PackagesItem>], situation: &Situation) {
    for guarded in situation.decide(items) {
        match guarded.item.clone() {
            PackagesItem::Package(mut package) => {
                let old = flat.packages.iter().position(|old| *old.package.name == *package.name);
                if let Some(old) = old.map(|index| flat.packages.remove(index).package) {
                    package.version = package.version.or(old.version);
                    package.suite = package.suite.or(old.suite);
                    package.without = package.without.or(old.without);
                }
                let suite = package.suite.as_ref().unwrap_or(&group.suite).value.clone();
                flat.packages.push(FlatPackage { package, archive: group.archive.value.clone(), suite });
            }
            PackagesItem::Without(without) => flat.without.push(without),
            PackagesItem::Drop(drop) => flat.drop.push(drop),
            PackagesItem::MaintainerScripts(scripts) => flat.maintainer_scripts.push(scripts),
        }
    }
}
