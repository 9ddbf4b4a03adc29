//! Two images compared.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    change::Change,
    facts::changes_by_topic,
    file_change::{FileChange, Tally, by_component, by_folder, file_changes},
    released::{Label, Released, Room},
    topic::Topic,
};
use crate::{
    inspect::Occupied,
    plan::layout::{BLOCK, hash_file_size},
};

/// What differs between two images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The image that is compared with.
    pub old: Label,
    /// The image that is asked about.
    pub new: Label,
    /// What differs, by topic; only topics of which something does.
    pub changes: BTreeMap<Topic, Vec<Change>>,
    /// Whether the options of both kernels are known.
    pub has_options: bool,
    /// The sizes of both, the same or not.
    pub sizes: Vec<Measure>,
    /// The partitions of both, the same or not.
    pub partitions: Vec<RoomChange>,
    /// What a machine that runs the old image downloads; none where the new one is no update of it.
    pub download: Option<Download>,
    /// How many files differ, by component.
    pub by_component: Vec<Tally>,
    /// How many files differ, by folder.
    pub by_folder: Vec<Tally>,
    /// The files that differ.
    pub files: Vec<FileChange>,
}

/// A size on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// What has this size.
    pub what: &'static str,
    /// The size in bytes before.
    pub old: u64,
    /// The size now.
    pub new: u64,
}

/// A partition on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomChange {
    /// What it is for: `ESP`, `root A`.
    pub what: String,
    /// Before; none when it was not there.
    pub old: Option<Room>,
    /// Now; none when it is not there any more.
    pub new: Option<Room>,
}

/// What a machine downloads to come from one image to another, as a repository offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Its parts.
    pub parts: Vec<DownloadPart>,
}

/// A part of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadPart {
    /// What it is.
    pub what: &'static str,
    /// Its bytes; none of them when it is the same in both images.
    pub bytes: u64,
}

impl Download {
    /// The bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.changes.is_empty()
            && self.files.is_empty()
            && self.sizes.iter().all(|measure| measure.old == measure.new)
            && self.partitions.iter().all(|room| room.old == room.new)
    }
}

/// Compares two images.
pub fn compare(old: &Released<'_>, new: &Released<'_>) -> Comparison {
    let files = file_changes(&old.manifest.files, &new.manifest.files);
    Comparison {
        old: old.label(),
        new: new.label(),
        changes: changes_by_topic(old, new),
        has_options: old.options.is_some() && new.options.is_some(),
        sizes: sizes(old, new),
        partitions: partitions(&old.contents.partitions, &new.contents.partitions),
        download: download(old, new),
        by_component: by_component(&files),
        by_folder: by_folder(&files),
        files,
    }
}

fn sizes(old: &Released<'_>, new: &Released<'_>) -> Vec<Measure> {
    let measure = |what, size: fn(&Released<'_>) -> u64| Measure { what, old: size(old), new: size(new) };
    let mut sizes = vec![
        measure("disk", |image| image.contents.image_bytes),
        measure("root, compressed", |image| image.manifest.root.size),
        measure("files of the root, uncompressed", |image| image.manifest.root.file_bytes),
        measure("unified kernel image", |image| image.contents.kernel_image.bytes),
    ];
    let sections = [("  kernel in it", ".linux"), ("  initramfs in it", ".initrd")];
    let of = |image: &Released<'_>, name| image.contents.kernel_image.sections.get(name).copied().unwrap_or(0);
    let sections = sections.map(|(what, name)| Measure { what, old: of(old, name), new: of(new, name) });
    sizes.extend(sections.into_iter().filter(|section| (section.old, section.new) != (0, 0)));
    sizes
}

fn partitions(old: &[Occupied], new: &[Occupied]) -> Vec<RoomChange> {
    let names: Vec<&String> = new.iter().chain(old).map(|partition| &partition.what).collect();
    let room = |side: &[Occupied], name: &String| {
        let found = side.iter().find(|partition| partition.what == *name);
        found.map(|partition| Room { bytes: partition.bytes, used: partition.used })
    };
    let mut seen = BTreeSet::new();
    let each = names.into_iter().filter(|name| seen.insert(*name));
    each.map(|name| RoomChange { what: name.clone(), old: room(old, name), new: room(new, name) }).collect()
}

fn download(old: &Released<'_>, new: &Released<'_>) -> Option<Download> {
    let (from, to) = (old.manifest, new.manifest);
    if (&from.image, &from.architecture) != (&to.image, &to.architecture) {
        return None;
    }
    let root = to.root.data_blocks.saturating_mul(BLOCK);
    let part = |what, is_same, bytes| DownloadPart { what, bytes: if is_same { 0 } else { bytes } };
    Some(Download {
        parts: vec![
            part("root", from.root.sha256 == to.root.sha256, root),
            part("hash tree", from.root.root_hash == to.root.root_hash, hash_file_size(root)),
            part(
                "unified kernel image",
                old.contents.kernel_image.sha256 == new.contents.kernel_image.sha256,
                new.contents.kernel_image.bytes,
            ),
        ],
    })
}
