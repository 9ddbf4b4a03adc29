//! Packages and components: those that come or go, and what of the others is not the same.

use std::collections::{BTreeMap, BTreeSet};

use super::super::change::Change;
use crate::artifact::ManifestComponent;

/// What differs between the components of two images, sorted by their names.
pub fn changes(old: &[ManifestComponent], new: &[ManifestComponent]) -> Vec<Change> {
    let [old, new] = [old, new]
        .map(|side| side.iter().map(|component| (component.name.as_str(), component)).collect::<BTreeMap<_, _>>());
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    names.into_iter().flat_map(|name| changes_of(old.get(name).copied(), new.get(name).copied())).collect()
}

fn changes_of(old: Option<&ManifestComponent>, new: Option<&ManifestComponent>) -> Vec<Change> {
    let Some(one) = new.or(old) else { return Vec::new() };
    let label = label(one);
    let change = |what: &str, field: fn(&ManifestComponent) -> &str| Change::of(what, old.map(field), new.map(field));
    let version = change(&label, |component| &component.version);
    let (Some(before), Some(now)) = (old, new) else { return version.into_iter().collect() };
    let mut found: Vec<Change> = version.into_iter().collect();
    found.extend(change(&format!("{label}: licence"), |component| &component.license));
    found.extend(change(&format!("{label}: supplier"), |component| &component.supplier));
    found.extend(change(&format!("{label}: role"), |component| &component.role));
    let sources = |component: &ManifestComponent| {
        if component.development { "a local folder" } else { "what is locked" }
    };
    found.extend(Change::of(&format!("{label}: built from"), Some(sources(before)), Some(sources(now))));
    // A new version always has other sources; the same version with others is worth a line.
    if before.version == now.version {
        let digest = |component: &'_ ManifestComponent| component.sha256.clone();
        let what = format!("{label}: SHA-256 of its source");
        found.extend(Change::of(&what, digest(before).as_deref(), digest(now).as_deref()));
    }
    found
}

/// The name, with what it is built for and what it is to the image where that is worth a word.
fn label(component: &ManifestComponent) -> String {
    let qualifiers = component.purl.split_once('?').map_or("", |(_, qualifiers)| qualifiers);
    let architecture = qualifiers.split('&').find_map(|pair| pair.strip_prefix("arch="));
    let role = Some(component.role.as_str()).filter(|role| *role != "root");
    let words: Vec<&str> = architecture.into_iter().chain(role).collect();
    if words.is_empty() { component.name.clone() } else { format!("{} ({})", component.name, words.join(", ")) }
}
