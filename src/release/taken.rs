//! What takes the room in an image.

use std::collections::BTreeMap;

use super::released::{Label, Released, Room};
use crate::{artifact::ManifestKind, content::RelPath};

/// Who brought what no component did.
const NOBODY: &str = "(no component)";
/// A folder stands for everything below it from this depth on: `/usr/lib/modules`.
const FOLDER_DEPTH: usize = 3;

/// What takes the room in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which image it is.
    pub label: Label,
    /// The size of its root.
    pub root_bytes: u64,
    /// What the root has beside the content of files: folders, links, names, owners.
    pub metadata_bytes: u64,
    /// The most that the root may have, where its recipe is known and says so.
    pub budget: Option<u64>,
    /// The size of its kernel image.
    pub kernel_image_bytes: u64,
    /// The partitions by what they are for.
    pub partitions: Vec<(String, Room)>,
    /// What each component takes, the largest first.
    pub components: Vec<Share>,
    /// What each folder takes, the largest first.
    pub folders: Vec<Share>,
}

/// What something takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The component, folder or file.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The bytes of the image that they take, as they are compressed.
    pub stored: u64,
    /// Its files, the largest first; none of a file.
    pub inside: Vec<Share>,
}

/// Says what takes the room in an image. The manifest knows which component brought a file, the file system how many
/// blocks it has.
pub fn taken(image: &Released<'_>, budget: Option<u64>) -> Taken {
    let files = files(image);
    let stored = files.iter().map(|(_, file)| file.stored).fold(0, u64::saturating_add);
    let partitions = image.contents.partitions.iter();
    Taken {
        label: image.label(),
        root_bytes: image.manifest.root.size,
        metadata_bytes: image.manifest.root.size.saturating_sub(stored),
        budget,
        kernel_image_bytes: image.contents.kernel_image.bytes,
        partitions: partitions
            .map(|partition| (partition.what.clone(), Room { bytes: partition.bytes, used: partition.used }))
            .collect(),
        components: grouped(&files, |owner, _| owner.to_owned()),
        folders: grouped(&files, |_, path| folder_of(path)),
    }
}

/// Each file with the component that brought it.
fn files(image: &Released<'_>) -> Vec<(String, Share)> {
    let share = |file: &crate::artifact::ManifestFile| {
        let ManifestKind::File { size, .. } = &file.kind else { return None };
        let path = RelPath::from_absolute(&file.path).ok()?;
        let stored = image.contents.stored.get(&path).copied().unwrap_or(0);
        let owner = file.owner.clone().unwrap_or_else(|| NOBODY.to_owned());
        Some((owner, Share { name: file.path.clone(), files: 1, bytes: *size, stored, inside: Vec::new() }))
    };
    image.manifest.files.iter().filter_map(share).collect()
}

fn grouped(files: &[(String, Share)], name: impl Fn(&str, &str) -> String) -> Vec<Share> {
    let mut groups: BTreeMap<String, Share> = BTreeMap::new();
    for (owner, file) in files {
        let name = name(owner, &file.name);
        let empty = Share { name: name.clone(), files: 0, bytes: 0, stored: 0, inside: Vec::new() };
        let group = groups.entry(name).or_insert(empty);
        group.files += 1;
        group.bytes = group.bytes.saturating_add(file.bytes);
        group.stored = group.stored.saturating_add(file.stored);
        group.inside.push(file.clone());
    }
    let mut groups: Vec<Share> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| largest_first(&mut group.inside));
    largest_first(&mut groups);
    groups
}

fn largest_first(shares: &mut [Share]) {
    shares.sort_by(|one, other| (other.stored, other.bytes, &one.name).cmp(&(one.stored, one.bytes, &other.name)));
}

fn folder_of(path: &str) -> String {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let names: Vec<&str> = above.split('/').filter(|name| !name.is_empty()).take(FOLDER_DEPTH).collect();
    format!("/{}", names.join("/"))
}
