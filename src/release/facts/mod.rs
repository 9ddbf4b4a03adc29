//! What is true of an image, as texts that can be compared.

mod account;
mod component;
mod setting;
mod unit;

use std::collections::BTreeMap;

use brc_contract::{command_line, well_known};

use super::{
    change::{Change, Facts, changes},
    released::Released,
    topic::Topic,
};
use crate::{
    artifact::{Manifest, ManifestFile, ManifestKind},
    inspect::{Contents, GROUP, PASSWD, module_name},
};

/// The extended attribute that gives a program rights of its own.
const CAPABILITY: &str = "security.capability";

/// Everything that differs between two images and has a topic.
pub fn changes_by_topic(old: &Released<'_>, new: &Released<'_>) -> BTreeMap<Topic, Vec<Change>> {
    let of = |topic: Topic| match topic {
        Topic::Components => component::changes(&old.manifest.components, &new.manifest.components),
        // What one side does not say is no difference.
        Topic::Options if old.options.is_none() || new.options.is_none() => Vec::new(),
        topic => changes(&facts(topic, old), &facts(topic, new)),
    };
    Topic::ALL.into_iter().map(|topic| (topic, of(topic))).filter(|(_, changes)| !changes.is_empty()).collect()
}

fn facts(topic: Topic, image: &Released<'_>) -> Facts {
    let Released { manifest, contents, options } = image;
    let text = |name: &str| contents.texts.get(name).map(String::as_str).unwrap_or_default();
    match topic {
        Topic::Image => about_image(manifest, contents),
        Topic::Components => Facts::new(),
        Topic::Kernel => kernel(contents),
        Topic::Options => options.cloned().unwrap_or_default(),
        Topic::Modules => modules(manifest, contents),
        Topic::CommandLine => words(contents),
        Topic::Users => account::users(text(PASSWD)),
        Topic::Groups => account::groups(text(GROUP)),
        Topic::Units => unit::units(&manifest.files),
        Topic::Privileges => manifest.files.iter().filter_map(privilege).collect(),
        Topic::Settings => setting::defaults(text(well_known::IMAGE_SETTINGS)),
        Topic::Templates => setting::templates(text(well_known::IMAGE_SETTINGS), &manifest.files),
    }
}

fn about_image(manifest: &Manifest, contents: &Contents) -> Facts {
    [
        ("name", manifest.image.clone()),
        ("version", manifest.version.clone()),
        ("architecture", manifest.architecture.clone()),
        ("root hash", manifest.root.root_hash.clone()),
        ("SHA-256 of the root", manifest.root.sha256.clone()),
        ("SHA-256 of the ESP", manifest.esp.sha256.clone()),
        ("SHA-256 of the kernel image", contents.kernel_image.sha256.to_string()),
    ]
    .into_iter()
    .map(|(what, value)| (what.to_owned(), value))
    .collect()
}

/// The release, and what the root says of the files that start it. What names the image and its version is no fact of
/// the kernel.
fn kernel(contents: &Contents) -> Facts {
    let mut facts = Facts::from([("release".to_owned(), contents.kernel_image.release.clone())]);
    let Some(record) = &contents.boot_record else { return facts };
    let sections = record.kernel_image.sections.iter().filter(|(name, _)| *name != ".osrel");
    facts.extend(sections.map(|(name, digest)| (format!("section {name} of the kernel image"), digest.clone())));
    facts.extend(record.files.iter().map(|(path, digest)| (path.clone(), digest.clone())));
    facts
}

fn modules(manifest: &Manifest, contents: &Contents) -> Facts {
    let built_in = contents.built_in.iter().map(|name| (name.clone(), "built in".to_owned()));
    let is_module = |file: &&ManifestFile| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        file.path.starts_with("/usr/lib/modules/") && (name.ends_with(".ko") || name.contains(".ko."))
    };
    let loaded = manifest.files.iter().filter(is_module);
    built_in.chain(loaded.map(|file| (module_name(&file.path), "module".to_owned()))).collect()
}

/// The words of the command line by what stands before `=`. What follows from the root hash stands in braces.
fn words(contents: &Contents) -> Facts {
    let record = contents.boot_record.as_ref().map(|record| command_line::words(&record.kernel_image.command_line));
    let words = record.unwrap_or_else(|| contents.kernel_image.words.clone());
    let mut facts = Facts::new();
    for word in &words {
        let (key, value) = word.split_once('=').map_or((word.as_str(), "set"), |(key, value)| (key, value));
        facts.entry(key.to_owned()).and_modify(|known| *known = format!("{known} {value}")).or_insert(value.to_owned());
    }
    facts
}

fn privilege(file: &ManifestFile) -> Option<(String, String)> {
    let mode = u16::from_str_radix(&file.mode, 8).unwrap_or(0);
    let capability = file.xattrs.get(CAPABILITY);
    let is_file = matches!(file.kind, ManifestKind::File { .. });
    if !is_file || (mode & 0o6000 == 0 && capability.is_none()) {
        return None;
    }
    let capability = capability.map(|value| format!(", capabilities {value}")).unwrap_or_default();
    Some((file.path.clone(), format!("{} {}:{}{capability}", file.mode, file.uid, file.gid)))
}
