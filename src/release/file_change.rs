//! Files of the root that come, go or are not the same, and how many of them each component and folder has.

use std::collections::{BTreeMap, BTreeSet};

use crate::artifact::{ManifestFile, ManifestKind};

/// Who owns what no component brought.
const NOBODY: &str = "(no component)";
/// A folder stands for everything below it from this depth on: `/usr/lib`.
const FOLDER_DEPTH: usize = 2;

/// A path at which two roots differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path, from `/` on.
    pub path: String,
    /// The component that brings it, the new one where it is there.
    pub owner: String,
    /// Its size in bytes before; none when it was not there. What is no file has none.
    pub old: Option<u64>,
    /// Its size now; none when it is not there any more.
    pub new: Option<u64>,
    /// What of a path that both roots have is not the same: `content`, `mode`, `owner`, `link`, `attributes`, `kind`.
    pub differs: Vec<&'static str>,
}

/// How many files of something differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The component or folder.
    pub name: String,
    /// Files that came.
    pub added: u64,
    /// Files that went.
    pub removed: u64,
    /// Files that are not the same.
    pub changed: u64,
    /// How many bytes it has more now, before compression.
    pub bytes: i64,
}

/// What differs between the files of two roots, sorted by path. A folder that comes or goes with what is in it is told by
/// that.
pub fn file_changes(old: &[ManifestFile], new: &[ManifestFile]) -> Vec<FileChange> {
    let [old, new] =
        [old, new].map(|side| side.iter().map(|file| (file.path.as_str(), file)).collect::<BTreeMap<_, _>>());
    let paths: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.into_iter().filter_map(|path| file_change(old.get(path).copied(), new.get(path).copied())).collect()
}

fn file_change(old: Option<&ManifestFile>, new: Option<&ManifestFile>) -> Option<FileChange> {
    let file = new.or(old)?;
    let differs = match (old, new) {
        (Some(old), Some(new)) => differs(old, new),
        _ => Vec::new(),
    };
    let is_alone = old.is_some() != new.is_some() && file.kind != ManifestKind::Directory;
    if differs.is_empty() && !is_alone {
        return None;
    }
    Some(FileChange {
        path: file.path.clone(),
        owner: file.owner.clone().unwrap_or_else(|| NOBODY.to_owned()),
        old: old.map(size),
        new: new.map(size),
        differs,
    })
}

fn differs(old: &ManifestFile, new: &ManifestFile) -> Vec<&'static str> {
    let kind = match (&old.kind, &new.kind) {
        (ManifestKind::File { sha256: old, .. }, ManifestKind::File { sha256: new, .. }) => {
            (old != new).then_some("content")
        }
        (ManifestKind::Symlink { target: old }, ManifestKind::Symlink { target: new }) => {
            (old != new).then_some("link")
        }
        (ManifestKind::Directory, ManifestKind::Directory) => None,
        _ => Some("kind"),
    };
    let others = [
        (old.mode != new.mode).then_some("mode"),
        ((old.uid, old.gid) != (new.uid, new.gid)).then_some("owner"),
        (old.xattrs != new.xattrs).then_some("attributes"),
    ];
    kind.into_iter().chain(others.into_iter().flatten()).collect()
}

fn size(file: &ManifestFile) -> u64 {
    match file.kind {
        ManifestKind::File { size, .. } => size,
        ManifestKind::Directory | ManifestKind::Symlink { .. } => 0,
    }
}

/// How many files each component has that differ, sorted by name.
pub fn by_component(changes: &[FileChange]) -> Vec<Tally> {
    tally(changes, |change| change.owner.clone())
}

/// How many files each folder has that differ, sorted by path.
pub fn by_folder(changes: &[FileChange]) -> Vec<Tally> {
    tally(changes, |change| folder_of(&change.path))
}

/// The folder that stands for a path: `/usr/lib` for `/usr/lib/systemd/systemd`.
pub fn folder_of(path: &str) -> String {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let names: Vec<&str> = above.split('/').filter(|name| !name.is_empty()).take(FOLDER_DEPTH).collect();
    format!("/{}", names.join("/"))
}

fn tally(changes: &[FileChange], name: impl Fn(&FileChange) -> String) -> Vec<Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for change in changes {
        let name = name(change);
        let empty = Tally { name: name.clone(), added: 0, removed: 0, changed: 0, bytes: 0 };
        let tally = tallies.entry(name).or_insert(empty);
        match (change.old, change.new) {
            (None, _) => tally.added += 1,
            (_, None) => tally.removed += 1,
            _ => tally.changed += 1,
        }
        let signed = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
        tally.bytes = tally.bytes.saturating_add(signed(change.new).saturating_sub(signed(change.old)));
    }
    tallies.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_a_folder_of_two_names_at_most() {
        for (path, folder) in [
            ("/", "/"),
            ("/init", "/"),
            ("/etc/passwd", "/etc"),
            ("/usr/lib/os-release", "/usr/lib"),
            ("/usr/lib/systemd/system/a.service", "/usr/lib"),
        ] {
            assert_eq!(folder_of(path), folder, "{path}");
        }
    }
}
